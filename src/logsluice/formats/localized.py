"""What months and halves of the day are called in the languages that logs are written in, out of Unicode's CLDR.

The English names are known at once; CLDR's are loaded when another one is met. A name counts in any case, with or
without its dot and its accents (``Mär``, ``mär.``, ``mar``), and may be cut down to three letters or more (``Juil``)
where that leaves it only one meaning. A name that means different months in different languages (``srp`` is August in
Czech and July in Croatian) is read as in the first of :data:`LOCALES` and remarked on.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Final, NamedTuple

from logsluice.formats.alternation import alternation

MONTHS: Final[dict[str, int]] = {
    spelling: number
    for number, names in enumerate(
        [
            "jan january",
            "feb february",
            "mar march",
            "apr april",
            "may",
            "jun june",
            "jul july",
            "aug august",
            "sep sept september",
            "oct october",
            "nov november",
            "dec december",
        ],
        start=1,
    )
    for spelling in names.split()
}
"""Numbers of the English months by lower-case name."""

LOCALES: Final = "de es fr it pt nl pl ru sv nb da fi cs tr hu ro uk sk sl sr_Latn bg el et lv lt ca id zh ja ko hr"
"""CLDR's names of the languages, those first that win where two disagree."""

_SHORTEST: Final = 3

MARKERS: Final[dict[str, bool]] = {
    marker: bool(afternoon)
    for afternoon, markers in enumerate(
        (
            "am dop de ap πμ öö дп 上午 午前 오전 vorm",
            "pm odp pop du ip μμ ös пп 下午 午後 오후 nachm",
        )
    )
    for marker in markers.split()
}
"""Whether a marker of a half of the day, as :func:`bare_marker` leaves it, is that of the afternoon."""

MARKER: Final = (
    r"[AaPp]\.?[ \u00a0\u202f]?[Mm]\.?|上午|下午|午前|午後|오전|오후|[Vv]orm\.?|VORM\.?|[Nn]achm\.?|NACHM\.?|"
    r"dop\.|odp\.|pop\.|de\.|du\.|ap\.|ip\.|π\.?μ\.?|μ\.?μ\.?|ÖÖ|ÖS|öö|ös|дп|пп"
)
"""A marker of a half of the day. Those of other languages that are words of ordinary text need their dot."""

LETTERS: Final = "A-Za-zÀ-ÖØ-öø-\u024fͰ-Ͽ\u1f00-\u1fffЀ-ӿ"
"""Letters of the alphabets that months are written in: Latin, Greek, Cyrillic."""

_STEMS: Final = (
    "abr ago agu aou aoû apr ara aug avg avr ağu bal bir bre bře cvc cvn cze dec des det dez dic dub déc eki elo "
    "ene eyl feb fev fév geg gen giu gru haz hei hel huh ian iul iun jaa jan jou jui jul jun juu júl jún jūl jūn "
    "kas kes kol kov kve kvě kwi lap led lie lip lis lok lug lut maa mag mai maj mar may mei mer mrt máj már mär "
    "nis noi nov oca oct okt ott out ozu ožu paz paź pro rij rug ruj sau sep set sie sij spa srp stu sty sub svi "
    "syy sze tam tem tou tra uno vas vee vel wrz zar zář ápr úno čer čvc čvn říj şub απρ αυγ αύγ δεκ ιαν ιου ιού "
    "μάι μάρ μαΐ μαι μαρ νοέ νοε οκτ σεπ φεβ авг апр бер вер гру дек жов июл июн кві лип лис лют май мар мая ное "
    "ноя окт сен сеп сер січ тра фев чер юли юни янв яну "
)
"""How months' names begin in the languages of :data:`LOCALES`."""


def _any_case(stem: str) -> set[str]:
    """A stem in lower case, in capitals, and with a capital first."""
    capitals = stem.upper() if len(stem.upper()) == len(stem) else stem
    return {stem, capitals, capitals[0] + stem[1:]}


MONTH_NAME: Final = (
    rf"(?:{alternation(spelling for stem in _STEMS.split() for spelling in _any_case(stem))})[{LETTERS}]{{0,9}}\.?|"
    r"1?[0-9][月월]|[一二三四五六七八九十]{1,2}月"
)
"""What may be a month's name."""


ANY_NAME: Final = rf"[{LETTERS}]{{3,12}}\.?|1?[0-9][月월]|[一二三四五六七八九十]{{1,2}}月"
"""Wider than :data:`MONTH_NAME`, and so much smaller, for regular expressions that a month is but a part of."""

ANY_MARKER: Final = (
    r"[AaPp]\.?[ \u00a0\u202f]?[Mm]\.?|(?:[Vv]orm|VORM|[Nn]achm|NACHM|dop|[aio]d?p|d[eu])\.|"
    r"[上下午前後오전후]{2}|[πμÖSösдп.]{2,4}"
)
"""The same of :data:`MARKER`."""


WEEKDAY: Final = (
    r"(?:(?:Mon|Tue|Tues|Wed|Wednes|Thu|Thur|Thurs|Fri|Sat|Satur|Sun)(?:day)?|M[aoi]|D[io]|[FV]r|S[ao]|W[ot]|Z[ao]|"
    rf"[{LETTERS}]{{2,12}}[.,]|[а-я]{{2}}|[{LETTERS}]{{3,12}}(?:tag|dag|di|dì|es|ado|ato|ek|да|ье|ик|ца)),?"
)
"""What may be a weekday's name before a date in figures: English, an abbreviation with its dot, or one that ends so."""


class Month(NamedTuple):
    """What a name means.

    Attributes:
        number: 1 to 12.
        ambiguous: Whether another language calls another month so.
    """

    number: int
    ambiguous: bool


def month_named(name: str) -> Month | None:
    """The month of that name, in any language of :data:`LOCALES`."""
    key = name.lower()
    known = MONTHS.get(key)
    if known is not None:
        return Month(known, ambiguous=False)
    key = key.rstrip(".")
    known = MONTHS.get(key)
    if known is not None:
        return Month(known, ambiguous=False)
    return _months().get(key)


def bare_marker(marker: str) -> str:
    """A marker of a half of the day in lower case, without its dots and blanks."""
    return marker.lower().translate({ord(character): None for character in ". \u00a0\u202f"})


def is_afternoon(marker: str) -> bool:
    """Whether what :data:`MARKER` matches says that it is past noon."""
    return MARKERS[bare_marker(marker)]


def _unaccented(text: str) -> str:
    bare = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", "".join(bare))


@cache
def _months() -> dict[str, Month]:
    from babel import Locale  # what most logs do not need takes a second to load

    whole: dict[str, list[int]] = {}
    for locale in LOCALES.split():
        widths = [names for context in Locale.parse(locale).months.values() for names in context.values()]
        for names in widths:
            for number, name in names.items():
                full = unicodedata.normalize("NFC", name).lower().rstrip(".").removeprefix("de ").removeprefix("d’")
                for spelling in {full, _unaccented(full)}:
                    if len(spelling) >= _SHORTEST or spelling[-1] in "月월":
                        whole.setdefault(spelling, []).append(number)
    months = {name: Month(numbers[0], ambiguous=len(set(numbers)) > 1) for name, numbers in whole.items()}
    cut: dict[str, set[int]] = {}
    for name, month in months.items():
        for length in range(_SHORTEST, len(name)):
            cut.setdefault(name[:length], set()).add(month.number)
    for name, numbers_of_cut in cut.items():
        if len(numbers_of_cut) == 1 and name not in months:
            months[name] = Month(numbers_of_cut.pop(), ambiguous=False)
    return months
