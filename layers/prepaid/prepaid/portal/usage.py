"""A year of the account in two charts: the uses by feature and by what paid for them, and the balance."""

from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from prepaid.core.calendar import month_of, months_later
from prepaid.core.errors import Busy
from prepaid.core.statement import Statement
from prepaid.deps import Deps
from prepaid.portal import charts, formats
from prepaid.portal.languages import texts_of
from prepaid.portal.visits import Visit
from prepaid.portal.year import MONTHS, Part, Year, year_of
from prepaid.store.dynamodb import within
from prepaid.use_cases.reporting import statements_between

# The page doesn't wait longer for the months of an account with many thousands of uses.
STATEMENT_SECONDS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """months, short_months: their names. legend: the name and the sample of each part. rows: each month's units, part
    by part, their sum, and the credits at its end, as text. line: None for an account that never had credits."""

    months: tuple[str, ...]
    short_months: tuple[str, ...]
    legend: tuple[tuple[str, Markup], ...]
    rows: tuple[tuple[str, tuple[str, ...], str, str], ...]
    bars: charts.Chart
    line: charts.Chart | None


def read_usage(deps: Deps, visit: Visit) -> Usage | None:
    """The year up to the visit's month. None when the account's months take too long to sum up."""
    last = month_of(max(visit.now, visit.account.at), visit.zone)
    # A month that was read in vain is not read again here: the year then ends with the last closed month.
    for end in (last, months_later(last, -1)):
        statements = _statements(deps, visit, end)
        if statements is not None:
            return _usage(year_of(statements, end), visit)
    return None


def _statements(deps: Deps, visit: Visit, last: date) -> tuple[Statement, ...] | None:
    table, first = within(deps.table, STATEMENT_SECONDS), months_later(last, 1 - MONTHS)
    try:
        return statements_between(table, visit.account.id, first, last, catalog=visit.catalog, now=visit.now)
    except Busy:
        return None


def _usage(year: Year, visit: Visit) -> Usage:
    language = visit.session.language
    texts = texts_of(language)
    months = tuple(formats.month_name(month, language) for month in year.months)
    totals = tuple(formats.number(total, language) for total in year.totals)
    balances = tuple("–" if balance is None else formats.number(balance, language) for balance in year.balances)
    columns = tuple(tuple(formats.number(units, language) for units in column) for column in year.columns)
    return Usage(
        months=months,
        short_months=tuple(formats.short_month(month, language) for month in year.months),
        legend=tuple((_name_of(part, visit), charts.swatch(place)) for place, part in enumerate(year.parts)),
        rows=tuple(zip(months, columns, totals, balances, strict=True)),
        bars=charts.stacked_bars(
            year.columns, _notes(months, totals), name="use", title=texts["use.title"], text=texts["use.text"]
        ),
        line=charts.line(
            year.balances,
            _notes(months, balances),
            name="year-balance",
            title=texts["year_balance.title"],
            text=texts["year_balance.text"],
        )
        if any(year.balances)
        else None,
    )


def _name_of(part: Part, visit: Visit) -> str:
    texts = texts_of(visit.session.language)
    if part.feature is None:
        return texts["use.others"]
    feature = visit.catalog.feature_title(part.feature, visit.session.language)
    return f"{feature} · {texts[f'source.{part.paid_by}']}"


def _notes(months: tuple[str, ...], values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{month}: {value}" for month, value in zip(months, values, strict=True))
