"""What a caller's words say about their turn: mere assent, a finished sentence, or one that will go on.

Known are English, German, French and Spanish; in any other language (or "multi") all four are looked up
at once, and whatever is not known is neither assent nor unfinished. Words are compared without case,
punctuation and hyphens, since transcribers differ in all of them.
"""

# ruff: noqa: RUF001 - the signs are meant as they are

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum, auto


class Finish(Enum):
    """How finished a turn looks."""

    COMPLETE = auto()
    """A question, a request, a farewell."""

    OPEN = auto()
    """A sentence that may be over."""

    UNFINISHED = auto()
    """It ends with "and", "my", a comma: more must come."""

    DICTATING = auto()
    """It ends within digits, which people dictate in groups, with pauses between."""


def _by_language(**lists: str) -> dict[str, frozenset[str]]:
    """The words and_phrases of each language; under "" those of all."""
    known = {language: frozenset(words.split()) for language, words in lists.items()}
    return {**known, "": frozenset().union(*known.values())}


_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

_ASSENT = _by_language(
    en="mm mmm mhm mhmm mmhm mmhmm hm hmm hmmm huh uh um er ah oh ooh aha yeah yep yup yes ya ok okay k right sure "
    "alright cool great good nice fine exactly absolutely thanks i_see got_it all_right of_course thank_you "
    "thank_you_so_much makes_sense that_makes_sense sounds_good i_understand understood no_problem go_on for_sure",
    de="mm mmm mhm hm hmm äh ähm ah oh aha ja jaja jap jo ok okay genau gut klar stimmt richtig verstehe verstanden "
    "danke super schön ach_so achso na_gut alles_klar sehr_gut ich_verstehe",
    fr="mm mmm hm hmm hum euh ah oh oui ouais ouaip mouais ok okay bien voilà exactement entendu merci d'accord "
    "je_vois c'est_ça très_bien bien_sûr je_comprends",
    es="mm mmm ajá aja hm hmm eh ah oh sí si ya ok okay vale claro bueno bien exacto entiendo gracias "
    "de_acuerdo muy_bien ya_veo está_bien por_supuesto",
)
"""What listeners say to show that they listen. "No", "stop" and "wait" are not among it."""

_UNFINISHED = _by_language(
    en="and but or nor so because cause if when while that which who whose than as like the a an my your his her "
    "our their this these those to of in on at for from with by about into between is are was were am i'm it's "
    "be been has have had will would can could should i we they he she um uh er also just maybe then",
    de="und aber oder denn weil dass wenn als ob wie der die das den dem des ein eine einen einem einer mein meine "
    "meinen meiner ihr ihre unser unsere dieser diese zu zum zur in im am an auf für von vom mit bei aus nach über "
    "um ist sind war lautet heißt heiße habe hat wird würde kann ich wir er sie äh ähm also dann noch vielleicht",
    fr="et mais ou donc car parce que qu'il si quand comme le la les l' un une des du de d' à au aux dans sur pour "
    "avec par chez entre mon ma mes votre vos son sa ses ce cette ces est sont était c'est j'ai je nous il elle "
    "euh alors aussi numéro",
    es="y e pero o u porque que si cuando como el la los las un una unos unas mi mis su sus este esta de del a al "
    "en por para con sin sobre entre es son era soy está tengo yo eh em pues entonces también número",
)
"""Words after which nobody stops: conjunctions, articles, prepositions, verbs that want an object, fillers."""

_COMPLETE = _by_language(
    en="please thanks thank_you bye goodbye bye_bye see_you that's_all that_is_all that's_it yes no "
    "i_am it_is that_is they_are i_have i_do",
    de="ja nein bitte danke tschüss tschüs ciao wiederhören wiedersehen das_ist_alles das_war's das_wär's bis_dann",
    fr="oui non merci s'il_vous_plaît s'il_te_plaît au_revoir c'est_tout bonne_journée",
    es="sí no gracias por_favor adiós hasta_luego eso_es_todo nada_más",
)
"""Endings after which people wait for an answer."""

_DIGITS = _by_language(
    en="zero oh one two three four five six seven eight nine double triple",
    de="null ein eins zwei zwo drei vier fünf sechs sieben acht neun",
    fr="zéro un deux trois quatre cinq six sept huit neuf",
    es="cero uno dos tres cuatro cinco seis siete ocho nueve",
)

_NUMBER = re.compile(r"[0-9]{1,15}\Z")
_YEAR = re.compile(r"(?:19|20)[0-9]{2}\Z")
_LONGEST_PHRASE_WORDS = 4
_LEAST_DICTATED_DIGITS = 3
_MOST_DICTATED_DIGITS = 10
"""A national telephone number is over with these; shorter ones are not known to be."""

_GOES_ON_MARK = (",", "...", "…", "-", "–", "—", ":", ";", "、", "，", "،")
_OVER_MARK = ("?", "!", "？", "！", "؟")


def words_of(text: str) -> list[str]:
    """The words alone, for comparing: "Mm-hm, O.K.!" is mm, hm, o, k."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def is_assent(text: str, language: str) -> bool:
    """Whether the words, of which there are some, only show that somebody listens."""
    words, phrases = words_of(text), _of(_ASSENT, language)
    at = 0
    while at < len(words):
        for length in range(_LONGEST_PHRASE_WORDS, 0, -1):
            if "_".join(words[at : at + length]) in phrases:
                at += length
                break
        else:
            return False
    return bool(words)


def finish_of(text: str, language: str) -> Finish:
    """How finished a turn looks that so far has these words."""
    words, written = words_of(text), text.rstrip(" \"'”’»)")
    if _dictating(words, _of(_DIGITS, language)):
        return Finish.DICTATING
    if written.endswith(_OVER_MARK):
        return Finish.COMPLETE
    complete = _of(_COMPLETE, language)
    if any("_".join(words[-length:]) in complete for length in range(1, _LONGEST_PHRASE_WORDS + 1)):
        return Finish.COMPLETE
    if written.endswith(_GOES_ON_MARK) or (words and words[-1] in _of(_UNFINISHED, language)):
        return Finish.UNFINISHED
    return Finish.OPEN


def _dictating(words: list[str], digit_words: frozenset[str]) -> bool:
    groups, digits = 0, 0
    for word in reversed(words):
        if _NUMBER.match(word):
            digits += len(word)
        elif word in digit_words:
            digits += 1
        else:
            break
        groups += 1
    if groups == 1 and _YEAR.match(words[-1]):
        return False
    return _LEAST_DICTATED_DIGITS <= digits < _MOST_DICTATED_DIGITS


def _of(lists: Mapping[str, frozenset[str]], language: str) -> frozenset[str]:
    return lists.get(language.partition("-")[0].lower(), lists[""])
