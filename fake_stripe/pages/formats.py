"""Money, days and times as each language writes them."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency

DEFAULT_LANGUAGE = "pt-BR"
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
# The number of decimals of currencies that don't have two: https://docs.stripe.com/currencies.
DECIMALS = dict.fromkeys(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"), 0
) | dict.fromkeys(("bhd", "jod", "kwd", "omr", "tnd"), 3)


def language_of(locale: str | None) -> str:
    """Return the page's language for a session's locale or a browser's Accept-Language."""
    start = (locale or "").strip().lower()[:2]
    return {"en": "en", "es": "es"}.get(start, DEFAULT_LANGUAGE)


def money(amount: int, currency: str, language: str) -> str:
    """Format `amount`, in the currency's smallest unit as Stripe counts it."""
    value = Decimal(amount).scaleb(-DECIMALS.get(currency, 2))
    return format_currency(value, currency.upper(), locale=language.replace("-", "_"))


def day(at: int, language: str) -> str:
    """Format the day of `at`, in seconds since 1970, in São Paulo, because the shop is Brazilian."""
    return format_date(datetime.fromtimestamp(at, SAO_PAULO), "medium", locale=language.replace("-", "_"))


def moment(at: int, language: str) -> str:
    """Format the day and time of `at`, in seconds since 1970, in São Paulo."""
    locale = language.replace("-", "_")
    time = format_time(datetime.fromtimestamp(at, UTC), "short", tzinfo=SAO_PAULO, locale=locale)
    return f"{day(at, language)}, {time}"
