"""A language model's text, as it streams in, in pieces that a voice speaks one after the other.

A piece is a sentence or a line; the first may be only a clause, so that the caller hears something
early. Where it is not sure that a sentence ends, it is taken to go on: the voice then gets two
sentences at once, which nobody hears, while one torn in two is heard. What is cut depends on the
text alone, never on how it was dealt into deltas. Sentence libraries (pysbd, punkt, blingfire) want
the whole text and one language, so none is used.
"""

# ruff: noqa: RUF001 - the stops of all scripts are meant as they are

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FIRST_CLAUSE_CHARS = 24
"""Before this a clause is too short to leave alone: its sound would be over before the next begins."""

LONGEST_CHARS = 240
"""About 15 s of speech; what has no end by then is cut where it hurts least."""

_CLAUSE = ",;:،؛—–"
_WIDE_CLAUSE = "，、；：﹐､"
_ANY_CLAUSE = _CLAUSE + _WIDE_CLAUSE
_STOP = ".!?…"
_WIDE_STOP = "。！？｡．।॥؟۔։။។።"
"""Stops that need no blank after them."""

_MARK = re.compile(rf"\n|[{_ANY_CLAUSE}]|[{_STOP}{_WIDE_STOP}]+")
_CLOSING = re.compile(r"[\"'”’»›)\]}*_`~」』）】》〉\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d]{0,8}")
_FRENCH_CLOSING = re.compile(r"[^\S\n]?»")
_BLANK = re.compile(r"[^\S\n]{0,4}")
_NEXT_WORD = re.compile(r"[^\W_]{1,12}")
_LONGEST_LINK_CHARS = 100

_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_WIDE_AS_CHARS = 3
"""One of these takes about as long to say as three letters."""

_TOKEN_BEGINS_AFTER = "\"'“”‘«(¿¡[{*_,;:/-–—"
_NUMBER = re.compile(r"[0-9]{1,3}\Z")
_DOTTED = re.compile(r"[^\W\d_](?:\.[^\W\d_])*\Z")
"""An initial (J.) or letters with stops between them (U.S., a.m.), without the last stop."""

_ORDINALS = _words("de da nb no nn fi cs sk hu pl sl hr sr et lv is tr")
"""Languages that write "5. May"."""

_GO_ON = _words(
    "mr mrs ms mx dr prof rev hon gen col capt cmdr lt sgt maj gov sen rep pres mt messrs "
    "vs e.g i.e cf viz ca approx resp incl excl "
    "hr fr frl dipl z.b d.h u.a bzw ggf inkl exkl zzgl evtl vgl sog bspw "
    "mm mme mlle mmes mgr "
    "sra srta dra ud uds p.ej dña"
)
"""Never the end of a sentence."""

_BEFORE_NUMBER = _words(
    "no nos nr nrn art sec fig vol ch chap p pp pg abs ziff núm num tel ext apt bldg rm ste "
    "mon tue tues wed thu thur thurs fri sat sun jan feb febr mar apr jun jul aug sep sept oct okt nov dec dez "
    "janv févr avr juil déc ene abr ago dic"
)
"""Not the end before a number."""

_MAYBE = _words("etc inc ltd co corp llc bros dept est jr sr st ave blvd rd ln hwy str usw mio mrd ph.d std av bd")
"""The end only before a word that often begins a sentence; so are initials and letters with stops."""

_STARTERS = _words(
    "the a an i it we you he she they this that these those there here if and but so or please would do does "
    "did can could will shall should what how when where who why which is are was were has have let my your our "
    "his her their its now then yes no also however maybe after before in on at for to "
    "der die das ein eine ich es wir sie er ihr dies dieser diese wenn und aber also bitte möchten kann können "
    "was wie wann wo wer warum ist sind hat haben mein ihre unser jetzt dann ja nein danach "
    "le la les un une je nous vous il elle ils elles on ce cette ces c j si et mais donc veuillez "
    "el los las una yo usted nosotros ellos esto este esta qué cómo cuándo dónde quién pero entonces por sí"
)


class Sentences:
    """Cuts a stream of text. Nothing is lost or added but the blanks around pieces.

    first_clause_chars: the least that the first clause must have to leave before its sentence is over.
    longest_chars: the longest piece, closing quotes aside. language: "en", "de-CH"; decides whether "5." is a numeral.
    """

    def __init__(
        self,
        *,
        first_clause_chars: int = FIRST_CLAUSE_CHARS,
        longest_chars: int = LONGEST_CHARS,
        language: str = "en",
    ) -> None:
        self._first_clause_chars = first_clause_chars
        self._longest_chars = longest_chars
        self._ordinals = language.partition("-")[0].lower() in _ORDINALS
        self._text = ""
        self._nothing_left_yet = True

    def add(self, delta: str) -> list[str]:
        """The pieces that are complete with these letters."""
        self._text += delta
        return self._pieces(over=False)

    def finish(self) -> list[str]:
        """What remains: the text is over. The next `add` begins a new one."""
        pieces = self._pieces(over=True)
        self._nothing_left_yet = True
        return pieces

    def _pieces(self, *, over: bool) -> list[str]:
        pieces: list[str] = []
        while True:
            self._text = self._text.lstrip()
            cut = self._cut(over=over)
            if not cut:
                return pieces
            pieces.append(self._text[:cut].rstrip())
            self._text = self._text[cut:]
            self._nothing_left_yet = False

    def _cut(self, *, over: bool) -> int:
        """Where the first piece of the text ends; 0 while that is not known."""
        text = self._text
        for mark in _MARK.finditer(text, 0, self._longest_chars):
            end = mark.end()
            if mark[0] == "\n":
                return end
            if self._in_link(end):
                continue
            cut = self._clause_end(mark[0], end) if mark[0] in _ANY_CLAUSE else self._end(mark[0], mark.start(), end)
            if cut is None and not over:
                return 0
            if cut:
                return cut
        if len(text) > self._longest_chars:
            return self._cut_anyway()
        return len(text) if over else 0

    def _in_link(self, end: int) -> bool:
        """Whether text[:end] ends within [the words of a link](…), which must stay whole to be stripped."""
        opened = self._text.rfind("[", 0, end)
        return opened >= 0 and end - opened < _LONGEST_LINK_CHARS and self._text.find("]", opened, end) < 0

    def _clause_end(self, mark: str, end: int) -> int | None:
        """Where the clause ends that this mark closes; 0 if it may not leave, None if the text ends too early."""
        if not self._nothing_left_yet or _length(self._text[:end]) < self._first_clause_chars:
            return 0
        if mark in _WIDE_CLAUSE:
            return end
        following = self._text[end : end + 1]
        if not following:
            return None
        return end if following.isspace() else 0

    def _end(self, mark: str, start: int, end: int) -> int | None:
        """Where the sentence that stops at text[start:end] ends, closing marks included.

        0 if it goes on, None if the text ends before that is known.
        """
        text = self._text
        closed = _end_of(_CLOSING, text, end)
        if text.rfind("«", 0, end) > text.rfind("»", 0, closed):
            closed = _end_of(_FRENCH_CLOSING, text, closed)
        following = text[closed : closed + 1]
        if not following:
            return None
        if mark[-1] in _WIDE_STOP or following == "\n":
            return closed
        if not following.isspace():
            return closed if mark != "." and _WIDE.match(following) else 0
        next_at = _end_of(_BLANK, text, closed)
        following = text[next_at : next_at + 1]
        if not following:
            return None
        if following.islower():
            return 0
        if mark == ".":
            goes_on = self._goes_on(start, next_at)
            return None if goes_on is None else 0 if goes_on else closed
        return closed

    def _goes_on(self, stop: int, next_at: int) -> bool | None:
        """Whether the one stop at text[stop] belongs to its word or number; None if that is not known yet."""
        text = self._text
        begin = stop
        while begin and text[begin - 1] not in _TOKEN_BEGINS_AFTER and not text[begin - 1].isspace():
            begin -= 1
        token = text[begin:stop]
        if _NUMBER.match(token):
            return (not begin or text[begin - 1] in " \t*_") and (self._ordinals or self._is_marker(begin, int(token)))
        word = token.lower()
        if word in _GO_ON:
            return True
        if word in _BEFORE_NUMBER:
            return text[next_at] in "0123456789+(#"
        if word in _MAYBE or _DOTTED.match(token):
            next_end = _end_of(_NEXT_WORD, text, next_at)
            return None if next_end == len(text) else text[next_at:next_end].lower() not in _STARTERS
        return False

    def _is_marker(self, begin: int, number: int) -> bool:
        """Whether a number with a stop after it counts the items of a list."""
        before = self._text[:begin].rstrip(" \t*_")
        if not before or (number == 1 and before[-1] in ":;"):
            return True
        return re.search(rf"(?<![0-9]){number - 1}\.\s", before) is not None

    def _cut_anyway(self) -> int:
        """Where a text without an end is best cut: after a clause, else between words, else anywhere."""
        text = self._text[: self._longest_chars]
        clauses = [mark.end() for mark in _MARK.finditer(text) if text[mark.end() : mark.end() + 1].isspace()]
        if clauses and clauses[-1] >= self._longest_chars // 4:
            return clauses[-1]
        blanks = [blank.end() for blank in re.finditer(r"\s+", text)]
        return blanks[-1] if blanks else self._longest_chars


def _end_of(what: re.Pattern[str], text: str, start: int) -> int:
    """Where `what`, which may be nothing, ends in the text."""
    found = what.match(text, start)
    return found.end() if found else start


def _length(text: str) -> int:
    return len(text) + (_WIDE_AS_CHARS - 1) * len(_WIDE.findall(text))
