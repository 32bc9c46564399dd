"""GET /portal/reports: a month's statement, and the service report of one feature. Both can be downloaded."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, timedelta

from prepaid.api.http.problems import RouteNotFound
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.api.http.times import read_month
from prepaid.core.calendar import civil, month_of, months_later
from prepaid.core.entry import Entry
from prepaid.core.errors import InvalidRequest
from prepaid.core.service_report import service_report
from prepaid.core.statement import Statement, is_closed, opening_month
from prepaid.deps import Deps
from prepaid.portal import formats
from prepaid.portal.csv_files import MAX_FILE_BYTES, MAX_LINES, Cells, csv_response, within_bytes
from prepaid.portal.languages import texts_of
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.visits import Visit, page, visit_of
from prepaid.portal_config import PortalConfig
from prepaid.store.dynamodb import Table
from prepaid.use_cases.reporting import Span, span_until, statement_of_month
from prepaid.use_cases.searching import Filters, find_entries

TOP_CUSTOMERS = 10
LINES = 50
DOWNLOADS = ("", "statement", "services")
STATEMENT_COLUMNS = ("statement.line", "lines.feature", "lines.credits", "statement.quota_units")
SERVICE_COLUMNS = (
    "lines.customer",
    "lines.at",
    "lines.quantity",
    "lines.source",
    "statement.quota_units",
    "lines.credits",
    "lines.description",
    "lines.reference",
    "lines.number",
    "lines.type",
)


def show(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/reports."""
    visit = visit_of(request, deps)
    table = deps.table
    download = request.query.get("download", "")
    if download not in DOWNLOADS:
        raise RouteNotFound("There is no such file.")
    # The same ledger as in the rest of the page, whatever is appended meanwhile.
    span = span_until(table, visit.newest)
    statement = _statement(table, visit, span, request.query)
    if download == "statement":
        name = _file_name("csv.statement", visit, statement)
        return csv_response(visit, portal, name, STATEMENT_COLUMNS, statement_cells(statement, visit))
    feature = _feature(visit, statement, request.query)
    entries, is_complete = _uses(table, visit, statement, feature)
    if download == "services":
        return _services_file(visit, portal, statement, entries, is_complete=is_complete)
    values = {
        "tab": "reports",
        "here": f"/portal/reports?month={statement.month:%Y-%m}&feature={feature}",
        "months": _months(span.opened, visit),
        "statement": statement,
        "moved": _moved(statement),
        # None: the month is closed, and the statement final.
        "until": None if is_closed(statement, visit.now) else min(visit.now, statement.ends_at - timedelta(minutes=1)),
        "features": [feature.id for feature in visit.catalog.features],
        "feature": feature,
        "report": service_report(entries),
        "whole": is_complete,
        "top": TOP_CUSTOMERS,
        "entries": entries[:LINES],
        "more": len(entries) > LINES,
        "last_day_of_month": months_later(statement.month, 1) - timedelta(days=1),
    }
    return page("reports.html", visit, portal, values)


def _statement(table: Table, visit: Visit, span: Span, query: Mapping[str, str]) -> Statement:
    """The statement of the month in the query, or of the current month. Raises RouteNotFound, Busy."""
    month = read_month(query.get("month") or f"{civil(visit.now, visit.zone):%Y-%m}")
    if month is None:
        raise RouteNotFound("There is no such month.")
    try:
        return statement_of_month(table, span, month, catalog=visit.catalog, now=visit.now)
    except InvalidRequest:
        raise RouteNotFound("The account has no statement of that month.") from None


def _months(opened: Entry, visit: Visit) -> list[date]:
    """Every month of the account, newest first."""
    first = opening_month(opened)
    months = [month_of(visit.now, visit.zone)]
    while months[-1] > first:
        months.append(months_later(months[-1], -1))
    return months


def _moved(statement: Statement) -> list[tuple[str, int]]:
    """The movements of the statement. The page shows uses by feature, less reversals, for "spent".

    Rare movements are left out when they are zero.
    """
    always = {"purchased", "promotional", "returned", "spent", "expired", "taken_back"}
    moved = asdict(statement.moved)
    return [(name, credits) for name, credits in moved.items() if name != "reversed" and (credits or name in always)]


def statement_cells(statement: Statement, visit: Visit) -> Iterator[Cells]:
    """The lines of the statement's file, in the order of STATEMENT_COLUMNS."""
    language = visit.session.language
    texts = texts_of(language)
    yield texts["statement.opening"], None, statement.opening, None
    for name, credits in asdict(statement.moved).items():
        # The uses by feature are those of "spent", less what was reversed.
        if name not in ("spent", "reversed"):
            yield texts[f"statement.{name}"], None, credits, None
        for use in statement.uses if name == "spent" else ():
            title = visit.catalog.feature_title(use.feature, language)
            yield texts["statement.spent"], title, -use.credits, use.quota_units
    yield texts["statement.closing"], None, statement.closing, None
    yield texts["statement.owed_opening"], None, statement.owed_opening, None
    yield texts["statement.owed_closing"], None, statement.owed_closing, None
    month, zone = formats.month_name(statement.month, language), formats.zone_name(statement.zone, language)
    yield (texts["statement.month"].format(month=month, zone=zone),)
    if not is_closed(statement, visit.now):
        until = formats.table_time(civil(visit.now, visit.zone), language)
        yield (texts["statement.until"].format(at=until),)


def _feature(visit: Visit, statement: Statement, query: Mapping[str, str]) -> str:
    """The feature in the query; else the month's most used one, or the catalog's first."""
    features = [feature.id for feature in visit.catalog.features]
    if "feature" in query:
        if query["feature"] not in features:
            raise RouteNotFound("There is no such feature.")
        return query["feature"]
    most_used = max(statement.uses, key=lambda use: use.units, default=None)
    return most_used.feature if most_used else features[0]


def _uses(table: Table, visit: Visit, statement: Statement, feature: str) -> tuple[tuple[Entry, ...], bool]:
    """The month's uses and reversals of a feature, newest first, at most 10,000; and whether these are all of them.

    Raises Busy.
    """
    filters = Filters(type=None, feature=feature, source=None, since=None, until=None)
    first = statement.last_entry - statement.entries + 1
    bounds = (first, statement.last_entry)
    entry_page = find_entries(table, visit.account.id, filters, bounds, MAX_LINES, shown=_is_use)
    return entry_page.entries, entry_page.before is None


def _is_use(entry: Entry) -> bool:
    """Whether the entry spent units or returned some. A hold and its release do neither."""
    return entry.units != 0


def _services_file(
    visit: Visit, portal: PortalConfig, statement: Statement, entries: tuple[Entry, ...], *, is_complete: bool
) -> Response:
    language = visit.session.language
    rows = within_bytes((service_cells(entry, visit) for entry in entries), MAX_FILE_BYTES)
    if not is_complete or len(rows) < len(entries):
        oldest = formats.table_time(civil(entries[len(rows) - 1].at, visit.zone), language) if rows else ""
        rows.append([texts_of(language)["csv.incomplete_month"].format(last=oldest)])
    return csv_response(visit, portal, _file_name("csv.services", visit, statement), SERVICE_COLUMNS, rows)


def service_cells(entry: Entry, visit: Visit) -> Cells:
    """A line of the service report's file, in the order of SERVICE_COLUMNS."""
    language = visit.session.language
    return (
        texts_of(language)["lines.erased"] if entry.erased else entry.customer,
        formats.table_time(civil(entry.at, visit.zone), language),
        entry.units,
        texts_of(language)[f"source.{entry.source}"] if entry.source else None,
        entry.quota_units,
        entry.spent,
        entry.description,
        entry.reference,
        entry.number,
        texts_of(language)[f"type.{entry.type}"],
    )


def _file_name(kind: str, visit: Visit, statement: Statement) -> str:
    return f"{texts_of(visit.session.language)[kind]}-{visit.account.id}-{statement.month:%Y-%m}"


SHOW = PageRoute(method="GET", path="/portal/reports", respond=show)
