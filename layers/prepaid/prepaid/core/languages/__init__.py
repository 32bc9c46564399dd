"""The languages of everything that people read: the page, its files, payment pages, titles in the catalog.

Each language is one file of this folder, such as en.json, and is named by its file: another file is another language.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

DEFAULT = "pt-BR"
FOLDER = files("prepaid.core.languages")
ENDING = ".json"
# The default first, as the page's menu shows them.
LANGUAGES: tuple[str, ...] = tuple(
    sorted(
        (file.name.removesuffix(ENDING) for file in FOLDER.iterdir() if file.name.endswith(ENDING)),
        key=lambda language: (language != DEFAULT, language),
    )
)
if TYPE_CHECKING:
    Language = str
else:
    # The API's requests and its contract name each of them.
    Language = Literal[LANGUAGES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """How a language writes numbers, money, dates and times. portal/formats.py fills in what stands in braces.

    money, money_by_code: with a currency's own symbol, and with its code. long_date, short_date, month: a day has its
    day, month, short_month, number (of the month) and year. time: hour, hour12, minute, half. halves: of the day.
    csv_time: strftime's pattern of a time that spreadsheets read.
    """

    thousands: str
    decimal: str
    money: str
    money_by_code: str
    long_date: str
    short_date: str
    month: str
    time: str
    csv_delimiter: str
    csv_time: str
    halves: Sequence[str]
    months: Sequence[str]
    short_months: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageFile:
    """name: of the language, in itself. payment_locale: Stripe's name of it, for payment pages.

    product: what a payment page sells. zones: the cities of time zones that the language spells otherwise than the
    zone's own name does. texts: of the page, by name.
    """

    name: str
    payment_locale: str
    product: str
    formats: Formats
    zones: Mapping[str, str]
    texts: Mapping[str, str]


@cache
def language_file(language: str) -> LanguageFile:
    """What the file of one of LANGUAGES says."""
    content = json.loads((FOLDER / f"{language}{ENDING}").read_text("utf-8"))
    return LanguageFile(**{**content, "formats": Formats(**content["formats"])})
