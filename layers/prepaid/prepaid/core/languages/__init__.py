"""The languages of everything that people read: the page, its files, payment pages, titles in the catalog.

Each language is one file in this folder, and the file's name is its code: en.json. Adding a file adds a language.
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
    """How a language writes numbers, money, dates and times. portal/formats.py fills in the names in braces.

    money: with the currency's symbol. money_by_code: with its code, for a currency without a symbol.
    long_date, short_date, month: can use day, month, short_month, number (of the month) and year.
    time: can use hour, hour12, minute and half. halves: the names of the halves of the day, such as AM and PM.
    csv_time: strftime's pattern for a time that spreadsheets can read.
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

    product: what a payment page sells. zones: the cities whose names this language spells differently from the time
    zone's own name. texts: the page's texts, by name.
    """

    name: str
    payment_locale: str
    product: str
    formats: Formats
    zones: Mapping[str, str]
    texts: Mapping[str, str]


@cache
def language_file(language: str) -> LanguageFile:
    """The file of one of LANGUAGES."""
    content = json.loads((FOLDER / f"{language}{ENDING}").read_text("utf-8"))
    return LanguageFile(**{**content, "formats": Formats(**content["formats"])})
