"""What a voice can say of what a language model wrote: no markup, no emoji, numbers as people read them out.

Meant for whole pieces (see sentences.py), since markup may straddle a stream's deltas. A mark whose other
half is in another piece is dropped as well. Plain prose stays as it is, letter for letter. Voices that
favour speed, such as eleven_flash_v2_5, do not normalise numbers by themselves, so that is done here.
"""

# ruff: noqa: RUF001 - the signs are meant as they are

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Speech:
    """How a language says signs. scales: as a regular expression. A currency: one, many, a hundredth, hundredths."""

    percent: str
    and_: str
    times: str
    by: str
    to: str
    number: str
    plus: str
    scales: str
    currencies: dict[str, tuple[str, str, str, str]]


_SPEECH = {
    "en": _Speech(
        percent="percent",
        and_="and",
        times="times",
        by="by",
        to="to",
        number="number",
        plus="plus",
        scales="thousand|million|billion|trillion",
        currencies={
            "€": ("euro", "euros", "cent", "cents"),
            "$": ("dollar", "dollars", "cent", "cents"),
            "£": ("pound", "pounds", "penny", "pence"),
            "¥": ("yen", "yen", "", ""),
        },
    ),
    "de": _Speech(
        percent="Prozent",
        and_="und",
        times="mal",
        by="mal",
        to="bis",
        number="Nummer",
        plus="plus",
        scales="Tausend|Millionen|Million|Milliarden|Milliarde",
        currencies={
            "€": ("Euro", "Euro", "Cent", "Cent"),
            "$": ("Dollar", "Dollar", "Cent", "Cent"),
            "£": ("Pfund", "Pfund", "Penny", "Pence"),
            "¥": ("Yen", "Yen", "", ""),
        },
    ),
    "fr": _Speech(
        percent="pour cent",
        and_="et",
        times="fois",
        by="par",
        to="à",
        number="numéro",
        plus="plus",
        scales="",
        currencies={
            "€": ("euro", "euros", "centime", "centimes"),
            "$": ("dollar", "dollars", "cent", "cents"),
            "£": ("livre", "livres", "penny", "pence"),
            "¥": ("yen", "yens", "", ""),
        },
    ),
    "es": _Speech(
        percent="por ciento",
        and_="y",
        times="veces",
        by="por",
        to="a",
        number="número",
        plus="más",
        scales="",
        currencies={
            "€": ("euro", "euros", "céntimo", "céntimos"),
            "$": ("dólar", "dólares", "centavo", "centavos"),
            "£": ("libra", "libras", "penique", "peniques"),
            "¥": ("yen", "yenes", "", ""),
        },
    ),
}

_EMOJI_ONE = r"[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u231a-\u23ff\U000e0020-\U000e007f\u2122]\ufe0f?"
_EMOJI = re.compile(rf"[^\S\n]*{_EMOJI_ONE}(?:\u200d?{_EMOJI_ONE})*(?P<glued>(?=\w))?")
_KEYCAP = re.compile(r"\ufe0f?\u20e3|\ufe0f")

_FENCE = re.compile(r"^[^\S\n]*(?:```|~~~)[\w+#.-]*[^\S\n]*$", re.MULTILINE)
_RULE = re.compile(r"^[^\S\n]*(?:[-*_=][^\S\n]*){3,}$|^[-:| \t]*--[-:| \t]*$", re.MULTILINE)
_ROW = re.compile(r"^[^\S\n]*\|(.*)$", re.MULTILINE)
_LEAD = re.compile(r"^[^\S\n]*(?:>[^\S\n]+)*(?:#{1,6}[^\S\n]+|[-*+•‣◦▪][^\S\n]+(?:\[[ xX]\][^\S\n]+)?)?", re.MULTILINE)
_HEADING_END = re.compile(r"[^\S\n]+#+[^\S\n]*$", re.MULTILINE)
_TAG = re.compile(r"</?(?:br|b|i|em|strong|u|p|ul|ol|li|code|pre|span|div|sub|sup|h[1-6])\b[^<>]*>", re.IGNORECASE)
_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^\S\n]*<?([^()\s>]*)>?[^()]*\)|\[[^\[\]]*\])")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)?[^<>\s]*[.@][^<>\s]*)>")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|>~-])")
_EMPHASIS = re.compile(
    r"(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])"
    r"|(?<=[^\W\d])\*\*(?=\S)|(?<=\S)\*\*(?=[^\W\d])"
    r"|(?<![\w_])_{1,3}(?=[^\s_])|(?<=[^\s_])_{1,3}(?!\w)"
    r"|~~|`+"
)

_AMOUNT = r"(?:\d{1,3}(?:[.,' \u00a0\u202f’]\d{3})+|\d+)(?:[.,]\d{1,2})?"
_PRICE_RANGE = re.compile(r"(?<=\d)\s?[-–]\s?(?=[€$£¥]\s?\d)")
_HUNDREDTHS = re.compile(r"(.*)[.,](\d\d)\Z")
_PERCENT = re.compile(r"(?<=\d)\s?%(?!\w)")
_AND = re.compile(r"&amp;|(?<=\s)&(?=\s)")
_BY = re.compile(r"(?<![\w.,])(?!0x)(\d+)\s?[x×]\s?(?=\d)")
_TIMES = re.compile(r"(?<=\d)\s?\*\s?(?=\d)")
_TIMES_ALONE = re.compile(r"(?<![\w.,])(\d+(?:[.,]\d+)?)[x×](?!\w)")
_NUMBER_SIGN = re.compile(r"(?<![\w&#])(?:(?:number|no\.)\s)?#(?=\w*\d)", re.IGNORECASE)
_ARROW = re.compile(r"\s*(?:→|⇒|->|=>)\s*")

_DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(?:\d{4}|\d\d)\Z|\d{4}([./-])\d\d\2\d\d\Z")
_TELEPHONE = re.compile(
    r"(?<![\w.,/+€$£¥-])(?:"
    r"\+\d(?:[ ./()-]{0,2}\d){6,14}"  # +49 (89) 1234-567
    r"|(?:1[ -])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}"  # (555) 123-4567
    r"|0\d(?:[ /-]?\d){4,13}"  # 089/123456, 01 23 45 67 89
    r"|\d{7,20}"
    r")(?![\w%€$£¥@]|[.,:/-]\d|\s[€$£¥%])"
)
_ROUND = re.compile(r"[1-9]\d*000\Z")
"""Rather a count of many than a name."""

_NAMED = re.compile(
    r"\b(?P<what>(?:order|account|booking|reference|confirmation|invoice|ticket|tracking|case|flight)"
    r"|(?P<plain>number|no\.|id|code|pin|extension|zip|\w*nummer|plz|postleitzahl"
    r"|numéro|n°|code postal|número|código))"
    r"(?P<sure>\s(?:is|ist|lautet|est|es)\s|\s?:\s?|\sde\s\w+\s)?\s?"
    r"(?P<id>[A-Z]{0,4}-?\d[\dA-Z]*(?:-[\dA-Z]+)*)(?![\w%€$£¥]|[.,:/]\d|\s[€$£¥%])",
    re.IGNORECASE,
)
"""Something that has a number for a name, and that number."""

_LEAST_SPELT_DIGITS = 3
_LEAST_UNSURE_DIGITS = 5
"""As "order 2500 pieces" may be meant."""


def speakable(text: str, language: str = "en") -> str:
    """The words of one sentence or line as a voice should say them; "" if there is nothing to say.

    language: "en", "de-CH"; signs are written out in English, German, French and Spanish only.
    """
    spoken = _without_markup(text)
    if not _has_words(spoken):
        spoken = _FENCE.sub("", text)  # all of it looked like markup: rather too much than a hole
        if not _has_words(spoken):
            return ""
    speech = _SPEECH.get(language.partition("-")[0].lower())
    if speech is not None:
        spoken = _NUMBER_SIGN.sub(f"{speech.number} ", spoken)
    spoken = _TELEPHONE.sub(lambda found: _telephone(found[0], speech), spoken)
    spoken = _NAMED.sub(_named, spoken)
    if speech is not None:
        spoken = _signs_written_out(spoken, speech)
    return "\n".join(filter(None, (" ".join(re.split(r"[ \t\r]+", line)).strip() for line in spoken.split("\n"))))


def _has_words(text: str) -> bool:
    return any(map(str.isalnum, text))


def _without_markup(text: str) -> str:
    text = _EMOJI.sub(lambda found: "" if found["glued"] is None else " ", text)
    text = _KEYCAP.sub("", text)
    text = _RULE.sub("", _FENCE.sub("", text))
    text = _ROW.sub(lambda row: ", ".join(cell for cell in map(str.strip, row[1].split("|")) if cell), text)
    text = _HEADING_END.sub("", _LEAD.sub("", text))
    text = _TAG.sub(" ", text)
    text = _LINK.sub(lambda link: link[1] or link[2] or "", text)
    text = _AUTOLINK.sub(lambda link: link[1].removeprefix("mailto:"), text)
    text = _ESCAPE.sub(r"\1", text)
    text = _EMPHASIS.sub("", text)
    return _ARROW.sub(", ", text)


def _spelt(text: str) -> str:
    """Letter by letter, with a pause between groups."""
    return ", ".join(" ".join(group) for group in re.split(r"[\W_]+", text) if group)


def _telephone(number: str, speech: _Speech | None) -> str:
    if _DATE.match(number) or _ROUND.match(number):
        return number
    plus = "" if not number.startswith("+") else "+" if speech is None else f"{speech.plus} "
    return plus + _spelt(number)


def _named(found: re.Match[str]) -> str:
    name = found["id"]
    digits = sum(map(str.isdigit, name))
    sure = found["plain"] or found["sure"] or name[0].isalpha()
    if digits < (_LEAST_SPELT_DIGITS if sure else _LEAST_UNSURE_DIGITS) or _DATE.match(name):
        return found[0]
    return found[0].removesuffix(name) + _spelt(name)


def _signs_written_out(text: str, speech: _Speech) -> str:
    scale = f"(?P<scale>\\s(?:{speech.scales}))?" if speech.scales else "(?P<scale>)"
    before = rf"(?<![\w€$£¥])(?P<sign>[€$£¥])\s?(?P<amount>{_AMOUNT}){scale}(?![.,]?\w)"
    after = rf"(?<![\w.,])(?P<amount>{_AMOUNT}){scale}\s?(?P<sign>[€$£¥])(?!\w)"
    text = _PRICE_RANGE.sub(f" {speech.to} ", text)
    for price in (before, after):
        text = re.sub(price, lambda found: _price(found, speech), text)
    text = _PERCENT.sub(f" {speech.percent}", text)
    text = _AND.sub(speech.and_, text)
    text = _BY.sub(rf"\1 {speech.by} ", text)
    text = _TIMES.sub(f" {speech.times} ", text)
    return _TIMES_ALONE.sub(rf"\1 {speech.times}", text)


def _price(found: re.Match[str], speech: _Speech) -> str:
    one, many, hundredth, hundredths = speech.currencies[found["sign"]]
    amount, scale = found["amount"], found["scale"]
    parts = _HUNDREDTHS.match(amount)
    if scale or parts is None or not hundredth:
        return f"{amount}{scale or ''} {one if amount == '1' and not scale else many}"
    whole, rest = parts[1], int(parts[2])
    said = [] if whole == "0" and rest else [f"{whole} {one if whole == '1' else many}"]
    if rest:
        said.append(f"{rest} {hundredth if rest == 1 else hundredths}")
    return f" {speech.and_} ".join(said)
