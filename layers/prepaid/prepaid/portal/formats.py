"""Numbers, money, dates and times as each language writes them. The tests compare them with Babel's."""

from datetime import date, datetime, time
from fractions import Fraction

from prepaid.core.currencies import decimals_of

MINUS, NO_BREAK, NARROW_NO_BREAK = "\u2212", "\u00a0", "\u202f"
THOUSANDS = {"pt-BR": ".", "en": ",", "es": "."}
DECIMAL = {"pt-BR": ",", "en": ".", "es": ","}
# Each language's symbol of a currency; a currency that isn't listed is shown by its code.
SYMBOLS = {"brl": "R$", "usd": "US$", "eur": "€"}
MONTHS = {
    "pt-BR": [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
    "en": [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    "es": [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
}
SHORT_MONTHS = {
    "pt-BR": ["jan.", "fev.", "mar.", "abr.", "mai.", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez."],
    "en": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
    "es": ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic"],
}
NOON = 12
# A price per credit is shown with two significant digits, and with at most this many decimals.
TWO_DIGITS, MOST_DECIMALS = 10, 6


def number(value: int, language: str) -> str:
    """12345 -> 12.345."""
    grouped = f"{abs(value):,}".replace(",", THOUSANDS[language])
    return f"{MINUS}{grouped}" if value < 0 else grouped


def signed(value: int, language: str) -> str:
    """A change, with its sign: the typographic minus, not a hyphen."""
    return f"+{number(value, language)}" if value > 0 else number(value, language)


def money(amount: int, currency: str, language: str) -> str:
    """An amount in minor units: 34990 of brl -> R$ 349,90."""
    digits = decimals_of(currency)
    whole, minor = divmod(abs(amount), 10**digits)
    text = number(whole, language) + (f"{DECIMAL[language]}{minor:0{digits}d}" if digits else "")
    symbol = SYMBOLS.get(currency, currency.upper())
    sign = MINUS if amount < 0 else ""
    return f"{sign}{symbol}{_space(currency, language)}{text}"


def _space(currency: str, language: str) -> str:
    return "" if language == "en" and currency in SYMBOLS else NO_BREAK


def unit_price(amount: Fraction, currency: str, language: str) -> str:
    """A price per credit in minor units: 34.99 of brl -> R$ 0,35. Small ones have more decimals."""
    digits = decimals_of(currency)
    while digits < MOST_DECIMALS and amount and amount * 10 ** (digits - decimals_of(currency)) < TWO_DIGITS:
        digits += 1
    scaled = int(amount * 10 ** (digits - decimals_of(currency)) + Fraction(1, 2))
    whole, part = divmod(scaled, 10**digits)
    text = number(whole, language) + (f"{DECIMAL[language]}{part:0{digits}d}" if digits else "")
    return f"{SYMBOLS.get(currency, currency.upper())}{_space(currency, language)}{text}"


def long_date(day: date, language: str) -> str:
    """7 de julho de 2026; July 7, 2026; 7 de julio de 2026."""
    month = MONTHS[language][day.month - 1]
    return f"{month} {day.day}, {day.year}" if language == "en" else f"{day.day} de {month} de {day.year}"


def short_date(day: date, language: str) -> str:
    """07/07/2026; Jul 7, 2026, because 7/7/2026 has two readings."""
    if language == "en":
        return f"{SHORT_MONTHS[language][day.month - 1]} {day.day}, {day.year}"
    return f"{day.day:02d}/{day.month:02d}/{day.year}"


def month_name(day: date, language: str) -> str:
    """novembro de 2026; November 2026."""
    month = MONTHS[language][day.month - 1]
    return f"{month} {day.year}" if language == "en" else f"{month} de {day.year}"


def table_time(at: datetime, language: str) -> str:
    """26/11/2026 15:04; 2026-11-26 15:04: as a spreadsheet in that language reads a time."""
    return f"{at:%Y-%m-%d %H:%M}" if language == "en" else f"{at:%d/%m/%Y %H:%M}"


def short_month(day: date, language: str) -> str:
    """nov.; Nov."""
    return SHORT_MONTHS[language][day.month - 1]


def time_of_day(at: time, language: str) -> str:
    """09:04; 9:04 AM; 9:04."""
    if language != "en":
        return f"{at:%H:%M}" if language == "pt-BR" else f"{at.hour}:{at.minute:02d}"
    return f"{(at.hour - 1) % NOON + 1}:{at.minute:02d}{NARROW_NO_BREAK}{'PM' if at.hour >= NOON else 'AM'}"
