"""A year of the account in two charts: the uses by feature and by what paid for them, and the balance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from prepaid.core.calendar import month_of, months_later
from prepaid.core.errors import Busy
from prepaid.core.statement import Statement
from prepaid.core.usage import MONTHS, MonthOfUse, year_of_use
from prepaid.deps import Deps
from prepaid.portal import charts, formats
from prepaid.portal.languages import texts_of
from prepaid.portal.visits import Visit
from prepaid.portal.year import Part, columns_of, parts_of
from prepaid.store.dynamodb import within_at_most
from prepaid.use_cases.reporting import Span, span_until, statements_between

# How long the page waits for the statements of an account with many thousands of uses.
STATEMENT_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The charts of a year and their table. short_months: the labels below the charts. legend: each part's name and
    sample.

    rows: for each month its name, the units of each part, their sum, and the credits at its end, as texts.
    line: the balance; None for an account that had no credits in the year.
    """

    short_months: tuple[str, ...]
    legend: tuple[tuple[str, Markup], ...]
    rows: tuple[tuple[str, tuple[str, ...], str, str], ...]
    bars: charts.Chart
    line: charts.Chart | None


def read_usage(deps: Deps, visit: Visit) -> Usage | None:
    """The year up to the visit's month. None when the account's months take too long to sum up."""
    last = month_of(max(visit.now, visit.account.at), visit.zone)
    # The same ledger as in the rest of the page, whatever is appended meanwhile.
    table = within_at_most(deps.table, STATEMENT_SECONDS)
    try:
        span = span_until(table, visit.newest)
    except Busy:
        return None
    # If the current month takes too long, the year ends with the last closed month.
    for end in (last, months_later(last, -1)):
        statements = _statements(deps, visit, span, end)
        if statements:
            return _usage(year_of_use(statements, end), visit)
    return None


def _statements(deps: Deps, visit: Visit, span: Span, last: date) -> tuple[Statement, ...]:
    """The statements up to `last`; none when they took too long."""
    table, first = within_at_most(deps.table, STATEMENT_SECONDS), months_later(last, 1 - MONTHS)
    try:
        return statements_between(table, span, first, last, catalog=visit.catalog, now=visit.now)
    except Busy:
        return ()


def _usage(year: tuple[MonthOfUse, ...], visit: Visit) -> Usage:
    language = visit.session.language
    texts, parts = texts_of(language), parts_of(year)
    columns, balances = columns_of(year, parts), [month.closing for month in year]
    months = tuple(formats.month_name(month.month, language) for month in year)
    units = [tuple(formats.number(count, language) for count in column) for column in columns]
    totals = [formats.number(sum(column), language) for column in columns]
    credits = [formats.number(balance, language) for balance in balances]
    bars = charts.stacked_bars(
        # A bar can't show the negative units of reversals of earlier uses. The table does.
        [[max(count, 0) for count in column] for column in columns],
        _notes(months, totals),
        name="use",
        title=texts["use.title"],
        text=texts["use.text"],
    )
    line = charts.line(
        balances,
        _notes(months, credits),
        name="year-balance",
        title=texts["year_balance.title"],
        text=texts["year_balance.text"],
    )
    return Usage(
        short_months=tuple(formats.short_month(month.month, language) for month in year),
        legend=tuple((_name_of(part, visit), charts.swatch(index)) for index, part in enumerate(parts)),
        rows=tuple(zip(months, units, totals, credits, strict=True)),
        bars=bars,
        line=line if any(balances) else None,
    )


def _name_of(part: Part, visit: Visit) -> str:
    texts = texts_of(visit.session.language)
    if part.feature is None:
        return texts["use.others"]
    feature = visit.catalog.feature_title(part.feature, visit.session.language)
    return f"{feature} · {texts[f'source.{part.paid_by}']}"


def _notes(months: Sequence[str], values: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{month}: {value}" for month, value in zip(months, values, strict=True))
