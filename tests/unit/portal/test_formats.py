"""Numbers, money, dates and times: as Babel writes them in each language, except where the page differs on purpose."""

from datetime import date, time
from decimal import Decimal
from zoneinfo import available_timezones

import pytest
from babel import dates, numbers
from hypothesis import given
from hypothesis import strategies as st

from prepaid.core.currencies import CURRENCIES, decimals_of
from prepaid.core.languages import LANGUAGES
from prepaid.portal import formats

AMOUNTS = st.integers(min_value=-(10**12), max_value=10**12)
DAYS = st.dates(min_value=date(1970, 1, 1), max_value=date(2200, 12, 31))
EACH_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)


def locale(language: str) -> str:
    return language.replace("-", "_")


def with_minus(text: str) -> str:
    """Babel's hyphen as the minus sign, as wide as a plus."""
    return text.replace("-", "\u2212")


@EACH_LANGUAGE
@given(value=AMOUNTS)
def test_numbers_are_as_babel_writes_them(language: str, value: int) -> None:
    assert formats.number(value, language) == with_minus(numbers.format_decimal(value, locale=locale(language)))


@EACH_LANGUAGE
@given(value=AMOUNTS)
def test_a_change_has_its_sign(language: str, value: int) -> None:
    pattern = "+#,##0;-#,##0" if value else "0"

    expected = with_minus(numbers.format_decimal(value, pattern, locale=locale(language)))

    assert formats.signed(value, language) == expected


@pytest.mark.parametrize(
    ("language", "currency"),
    [("pt-BR", "brl"), ("pt-BR", "usd"), ("pt-BR", "eur"), ("en", "brl"), ("en", "eur")],
)
@given(amount=AMOUNTS)
def test_money_is_as_babel_writes_it(language: str, currency: str, amount: int) -> None:
    expected = numbers.format_currency(Decimal(amount) / 100, currency.upper(), locale=locale(language))

    assert formats.money(amount, currency, language) == with_minus(expected)


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
@given(amount=AMOUNTS, currency=st.sampled_from(sorted(CURRENCIES)))
def test_every_currency_stands_before_its_amount(language: str, amount: int, currency: str) -> None:
    # In Spanish too: customers of a Brazilian shop write R$ 349,90. A bare $ would be ambiguous there.
    digits = decimals_of(currency)
    pattern = "¤¤\u00a0#,##0" + ("." + "0" * digits if digits else "")
    value, code = Decimal(amount).scaleb(-digits), currency.upper()
    babels = numbers.format_currency(value, code, pattern, locale=locale(language), currency_digits=False)
    symbol = {"BRL": "R$", "USD": "US$", "EUR": "€"}.get(code, code)
    space = "" if language == "en" and symbol != code else "\u00a0"

    assert formats.money(amount, currency, language) == with_minus(babels.replace(f"{code}\u00a0", f"{symbol}{space}"))


@EACH_LANGUAGE
@given(day=DAYS)
def test_long_dates_and_months_are_as_babel_writes_them(language: str, day: date) -> None:
    assert formats.long_date(day, language) == dates.format_date(day, "long", locale(language))
    assert formats.month_name(day, language) == dates.format_skeleton("yMMMM", day, locale=locale(language))
    assert formats.short_month(day, language) == dates.format_date(day, "LLL", locale(language))


# Babel's short dates are 7/7/26 in English, which has two readings, and in Spanish.
@pytest.mark.parametrize(("language", "pattern"), [("pt-BR", "short"), ("en", "medium"), ("es", "dd/MM/y")])
@given(day=DAYS)
def test_short_dates_have_one_reading(language: str, pattern: str, day: date) -> None:
    assert formats.short_date(day, language) == dates.format_date(day, pattern, locale(language))


@EACH_LANGUAGE
@given(at=st.times())
def test_times_are_as_babel_writes_them(language: str, at: time) -> None:
    assert formats.time_of_day(at, language) == dates.format_time(at, "short", locale=locale(language))


@EACH_LANGUAGE
def test_zones_are_the_cities_that_babel_names(language: str) -> None:
    zones = available_timezones()

    babels = {zone: dates.get_timezone_location(zone, locale=locale(language), return_city=True) for zone in zones}

    assert {zone: formats.zone_name(zone, language) for zone in zones} == babels
    assert formats.zone_name("America/Sao_Paulo", language) == "São Paulo"


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("pt-BR", ["R$\u00a0349,90", "12.345", "7 de julho de 2026", "07/07/2026", "15:04", "\u22121"]),
        ("en", ["R$349.90", "12,345", "July 7, 2026", "Jul 7, 2026", "3:04\u202fPM", "\u22121"]),
        ("es", ["R$\u00a0349,90", "12.345", "7 de julio de 2026", "07/07/2026", "15:04", "\u22121"]),
    ],
)
def test_each_language_has_the_expected_formats(language: str, expected: list[str]) -> None:
    day = date(2026, 7, 7)

    assert [
        formats.money(34990, "brl", language),
        formats.number(12345, language),
        formats.long_date(day, language),
        formats.short_date(day, language),
        formats.time_of_day(time(15, 4), language),
        formats.signed(-1, language),
    ] == expected
