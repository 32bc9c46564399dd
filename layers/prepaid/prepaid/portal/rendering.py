"""Renders Jinja2 templates, with escaping, in the session's language and the account's time zone."""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prepaid.core.calendar import civil, day_start, last_usable_day
from prepaid.core.languages import LANGUAGES, language_file
from prepaid.portal import formats
from prepaid.portal.accent import accent_css
from prepaid.portal.languages import texts_of
from prepaid.portal.lines import asked_by, earlier_lines, line_details, line_name, lot_draws
from prepaid.portal_config import PortalConfig

if TYPE_CHECKING:
    from jinja2 import Environment

ROOM = Path(__file__).parent
# The layer's build compiles the templates: a cold start then doesn't parse them.
COMPILED = ROOM / "compiled"
STYLESHEET = "portal.css"
# Comments on lines of their own, and indentation. A browser needs neither.
FOR_READERS = re.compile(r"^[ \t]*//[^\n]*\n|^[ \t]*/\*[^*]*\*/\n|^[ \t]+", re.MULTILINE)


@cache
def templates() -> "Environment":
    """The Jinja2 environment with the page's templates."""
    # Imported here because the function that sells imports this module, and most of its responses are JSON.
    from jinja2 import BaseLoader, Environment, FileSystemLoader, ModuleLoader, StrictUndefined  # noqa: PLC0415

    loader: BaseLoader = ModuleLoader(COMPILED) if COMPILED.is_dir() else FileSystemLoader(ROOM / "templates")
    return Environment(autoescape=True, undefined=StrictUndefined, loader=loader, trim_blocks=True, lstrip_blocks=True)


@cache
def asset_text(name: str, accent: str, accent_dark: str) -> str:
    """The content of an asset, with the platform's colours (PortalConfig)."""
    text = FOR_READERS.sub("", files("prepaid.portal").joinpath("assets", name).read_text("utf-8"))
    return text + accent_css(accent, accent_dark or accent) if accent and name == STYLESHEET else text


@cache
def asset(name: str, accent: str, accent_dark: str) -> str:
    """The address of an asset. It changes with the content, so browsers may keep it forever."""
    stem, _, kind = name.partition(".")
    return f"/portal/assets/{stem}-{sha256(asset_text(name, accent, accent_dark).encode()).hexdigest()[:12]}.{kind}"


def render(template: str, language: str, zone: str, values: Mapping[str, Any], portal: PortalConfig) -> str:
    """The page of a template."""
    texts = texts_of(language)

    def text(name: str, **placeholders: Any) -> str:
        return texts[name].format(**placeholders)

    return (
        templates()
        .get_template(template)
        .render(
            t=text,
            asset=lambda name: asset(name, portal.accent, portal.accent_dark),
            platform=portal,
            language=language,
            languages=[(code, language_file(code).name) for code in LANGUAGES],
            number=lambda value: formats.number(value, language),
            signed=lambda value: formats.signed(value, language),
            money=lambda amount, currency: formats.money(amount, currency, language),
            unit_price=lambda amount, currency: formats.unit_price(amount, currency, language),
            day=lambda at: formats.long_date(civil(at, zone).date(), language),
            short_day=lambda at: formats.short_date(civil(at, zone).date(), language),
            last_day=lambda at: _last_use(at, zone, language, formats.long_date),
            short_last_day=lambda at: _last_use(at, zone, language, formats.short_date),
            month=lambda day: formats.month_name(day, language),
            time=lambda at: formats.time_of_day(civil(at, zone).time(), language),
            zone_name=lambda name: formats.zone_name(name, language),
            asked_by=asked_by,
            line_name=line_name,
            line_details=line_details,
            lot_draws=lot_draws,
            earlier_lines=earlier_lines,
            **values,
        )
    )


def _last_use(expires_at: datetime, zone: str, language: str, format_date: Callable[[date, str], str]) -> str:
    """The last day of a lot. If the lot expires at another time than midnight, its last day and time."""
    end = civil(expires_at, zone)
    if day_start(end.date(), zone) == expires_at:
        return format_date(last_usable_day(expires_at, zone), language)
    return f"{format_date(end.date(), language)}, {formats.time_of_day(end.time(), language)}"
