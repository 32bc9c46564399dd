"""Numbers, money, dates and times as each language writes them. The tests compare them with Babel's."""

from datetime import date, datetime, time
from fractions import Fraction

from prepaid.core.currencies import decimals_of
from prepaid.core.languages import Formats, language_file

MINUS = "\u2212"
# A currency that isn't listed is shown by its code.
SYMBOLS = {"brl": "R$", "usd": "US$", "eur": "€"}
NOON = 12
# A price per credit is shown with two significant digits, and with at most this many decimals.
TWO_DIGITS, MOST_DECIMALS = 10, 6


def number(value: int, language: str) -> str:
    """12345 -> 12.345."""
    grouped = f"{abs(value):,}".replace(",", _formats(language).thousands)
    return f"{MINUS}{grouped}" if value < 0 else grouped


def signed(value: int, language: str) -> str:
    """A change, with its sign: the typographic minus, not a hyphen."""
    return f"+{number(value, language)}" if value > 0 else number(value, language)


def money(amount: int, currency: str, language: str) -> str:
    """An amount in minor units: 34990 of brl -> R$ 349,90."""
    text = _money(abs(amount), decimals_of(currency), currency, language)
    return f"{MINUS}{text}" if amount < 0 else text


def unit_price(amount: Fraction, currency: str, language: str) -> str:
    """A price per credit in minor units: 34.99 of brl -> R$ 0,35. Small ones have more decimals."""
    digits = decimals_of(currency)
    while digits < MOST_DECIMALS and amount and amount * 10 ** (digits - decimals_of(currency)) < TWO_DIGITS:
        digits += 1
    scaled = int(amount * 10 ** (digits - decimals_of(currency)) + Fraction(1, 2))
    return _money(scaled, digits, currency, language)


def _money(scaled: int, digits: int, currency: str, language: str) -> str:
    """An amount >= 0. scaled: the amount without its decimal separator. digits: how many of its digits follow it."""
    formats = _formats(language)
    units, decimals = divmod(scaled, 10**digits)
    amount = number(units, language) + (f"{formats.decimal}{decimals:0{digits}d}" if digits else "")
    pattern = formats.money if currency in SYMBOLS else formats.money_by_code
    return pattern.format(symbol=SYMBOLS.get(currency, currency.upper()), amount=amount)


def long_date(day: date, language: str) -> str:
    """7 de julho de 2026; July 7, 2026; 7 de julio de 2026."""
    return _date(_formats(language).long_date, day, language)


def short_date(day: date, language: str) -> str:
    """07/07/2026; Jul 7, 2026, because 7/7/2026 has two readings."""
    return _date(_formats(language).short_date, day, language)


def month_name(day: date, language: str) -> str:
    """novembro de 2026; November 2026."""
    return _date(_formats(language).month, day, language)


def table_time(at: datetime, language: str) -> str:
    """26/11/2026 15:04; 2026-11-26 15:04: as a spreadsheet in that language reads a time."""
    return at.strftime(_formats(language).csv_time)


def short_month(day: date, language: str) -> str:
    """nov.; Nov."""
    return _formats(language).short_months[day.month - 1]


def time_of_day(at: time, language: str) -> str:
    """09:04; 9:04 AM; 9:04."""
    formats = _formats(language)
    half = formats.halves[at.hour >= NOON]
    return formats.time.format(hour=at.hour, hour12=(at.hour - 1) % NOON + 1, minute=at.minute, half=half)


def zone_name(zone: str, language: str) -> str:
    """America/Sao_Paulo -> São Paulo: the city whose time it is."""
    return language_file(language).zones.get(zone) or zone.rpartition("/")[2].replace("_", " ")


def _date(pattern: str, day: date, language: str) -> str:
    formats, index = _formats(language), day.month - 1
    month, short_month = formats.months[index], formats.short_months[index]
    return pattern.format(day=day.day, month=month, short_month=short_month, number=day.month, year=day.year)


def _formats(language: str) -> Formats:
    return language_file(language).formats
