"""GET /portal/history: every line of the account, filtered, page by page, or every entry as a file."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import get_args
from urllib.parse import quote, urlencode

from prepaid.api.http.bodies import MAX_TEXT, SLUG
from prepaid.api.http.problems import RouteNotFound
from prepaid.api.http.requests import Request
from prepaid.api.http.responses import Response
from prepaid.api.http.times import read_day
from prepaid.core.calendar import civil, day_start, months_later
from prepaid.core.entry import Entry, EntryType, Source
from prepaid.core.ids import lot_number
from prepaid.core.ledger import new_status
from prepaid.deps import Deps
from prepaid.portal import formats
from prepaid.portal.csv_files import MAX_FILE_BYTES, MAX_LINES, csv_response, within_bytes
from prepaid.portal.languages import texts_of
from prepaid.portal.lines import asked_by, earlier_lines, is_shown, line_name, lot_draws
from prepaid.portal.page_routes import PageRoute
from prepaid.portal.visits import Visit, page, visit_of
from prepaid.portal_config import PortalConfig
from prepaid.store.dynamodb import Table
from prepaid.use_cases.searching import EntryPage, Filters, entry_range, find_entries

LINES = 50
NAMES = ("type", "feature", "source", "customer", "reference", "from", "to")
# An entry's number. It needs no signature: the session's own account has the entry, or there is none.
NUMBER = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
COLUMNS = (
    "lines.number",
    "lines.at",
    "lines.type",
    "lines.feature",
    "lines.quantity",
    "lines.credits",
    "lines.quota",
    "lines.source",
    "lines.balance",
    "lines.quota_left",
    "lines.owed",
    "lines.description",
    "lines.customer",
    "lines.reference",
    "lines.lots",
    "lines.purchase",
    "lines.actor",
    "lines.refers_to",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterForm:
    """The filter form's fields. chosen: the filled-in filters by name. invalid: those that are not a date.

    before: the number below which the page starts.
    """

    chosen: Mapping[str, str]
    filters: Filters
    invalid: tuple[str, ...]
    before: int | None


def show(request: Request, deps: Deps, portal: PortalConfig) -> Response:
    """GET /portal/history."""
    visit = visit_of(request, deps)
    form = _read_form(request.query, visit.zone)
    if request.query.get("download") == "csv" and not form.invalid:
        return _file(deps.table, visit, form, portal)
    entry_page = EntryPage((), None) if form.invalid else read_lines(deps.table, visit.account.id, form, LINES)
    values = {
        "tab": "history",
        "here": _address(form.chosen, before=form.before),
        "form": form,
        "chosen": () if form.invalid else list(_named(form.chosen, visit)),
        "types": get_args(EntryType),
        "sources": get_args(Source),
        "features": _features(visit, form.chosen.get("feature")),
        "entries": entry_page.entries,
        "newest": _address(form.chosen) if form.before else None,
        "older": _address(form.chosen, before=entry_page.before) if entry_page.before else None,
        "hidden_by": _hiding(deps.table, visit, form) if not (entry_page.entries or form.invalid) else (),
        "lot_number": lot_number,
    }
    return page("history.html", visit, portal, values, status=422 if form.invalid else 200)


def read_matching(table: Table, account_id: str, form: FilterForm, limit: int) -> EntryPage:
    """At most `limit` matching entries, newest first; fewer if the deadline comes first. Raises Busy."""
    bounds = entry_range(table, account_id, form.filters, form.before)
    return find_entries(table, account_id, form.filters, bounds, limit)


def read_lines(table: Table, account_id: str, form: FilterForm, limit: int) -> EntryPage:
    """Like read_matching, but without entries that move nothing, unless the filter names their type."""
    bounds = entry_range(table, account_id, form.filters, form.before)
    shown = is_shown if form.filters.type is None else None
    return find_entries(table, account_id, form.filters, bounds, limit, shown=shown)


def _read_form(query: Mapping[str, str], zone: str) -> FilterForm:
    """The form's fields. Raises RouteNotFound for values that no form of this page sends."""
    chosen = {name: query[name] for name in NAMES if query.get(name)}
    allowed = {"type": get_args(EntryType), "source": get_args(Source)}
    if any(chosen[name] not in allowed[name] for name in allowed if name in chosen):
        raise RouteNotFound("There is no such type or source.")
    before = query.get("before")
    if not re.fullmatch(SLUG, chosen.get("feature", "any")) or (before and not NUMBER.fullmatch(before)):
        raise RouteNotFound("There is no such feature or line.")
    texts = {name: chosen[name] for name in ("customer", "reference") if name in chosen}
    if any(len(text) > MAX_TEXT for text in texts.values()):
        raise RouteNotFound("No entry has such a long text.")
    days = {name: read_day(chosen[name]) for name in ("from", "to") if name in chosen}
    first, last = days.get("from"), days.get("to")
    filters = Filters(
        type=chosen.get("type"),
        feature=chosen.get("feature"),
        source=chosen.get("source"),
        since=day_start(first, zone) if first else None,
        # The last day is included.
        until=day_start(last + timedelta(days=1), zone) if last else None,
        customer=texts.get("customer"),
        reference=texts.get("reference"),
    )
    invalid = tuple(name for name, day in days.items() if day is None)
    return FilterForm(chosen=chosen, filters=filters, invalid=invalid, before=int(before) if before else None)


def _named(chosen: Mapping[str, str], visit: Visit) -> Iterator[str]:
    """The chosen filters as texts, which the page shows while the form is closed."""
    language = visit.session.language
    texts = texts_of(language)
    for name, value in chosen.items():
        if name == "feature":
            yield visit.catalog.feature_title(value, language)
        elif name in ("from", "to"):
            day = formats.short_date(date.fromisoformat(value), language)
            yield texts[f"history.{name}_day"].format(day=day)
        elif name in ("customer", "reference"):
            yield value
        else:
            yield texts[f"{name}.{value}"]


def _features(visit: Visit, chosen: str | None) -> list[str]:
    """The catalog's features, and the chosen one."""
    features = [feature.id for feature in visit.catalog.features]
    return features if chosen is None or chosen in features else [*features, chosen]


def _address(chosen: Mapping[str, str], *, before: int | None = None) -> str:
    query = {**chosen, **({"before": str(before)} if before else {})}
    return f"/portal/history?{urlencode(query, quote_via=quote)}" if query else "/portal/history"


def _hiding(table: Table, visit: Visit, form: FilterForm) -> list[tuple[str, str]]:
    """The filters that hide all lines, each with the page's address without it. The period counts as one filter."""
    hiding = []
    for names in (("type",), ("feature",), ("source",), ("customer",), ("reference",), ("from", "to")):
        chosen = {name: value for name, value in form.chosen.items() if name not in names}
        if len(chosen) == len(form.chosen):
            continue
        without_filter = replace(_read_form(chosen, visit.zone), before=form.before)
        if read_lines(table, visit.account.id, without_filter, 1).entries:
            hiding.append((names[0], _address(chosen)))
    return hiding


def _file(table: Table, visit: Visit, form: FilterForm, portal: PortalConfig) -> Response:
    """The whole filtered range as CSV, up to 10,000 lines. If the file isn't complete, its last line says so."""
    language = visit.session.language
    entry_page = read_matching(table, visit.account.id, replace(form, before=None), MAX_LINES)
    rows = within_bytes((cells_of(entry, visit, portal.name) for entry in entry_page.entries), MAX_FILE_BYTES)
    if entry_page.before or len(rows) < len(entry_page.entries):
        oldest = formats.table_time(civil(entry_page.entries[len(rows) - 1].at, visit.zone), language) if rows else ""
        rows.append([texts_of(language)["csv.incomplete"].format(last=oldest)])
    return csv_response(visit, portal, _file_name(visit, form), COLUMNS, rows)


def cells_of(entry: Entry, visit: Visit, platform: str) -> Iterator[str | int | None]:
    """A line of the file, in the order of COLUMNS. platform: its name, or ""."""
    language = visit.session.language
    texts = texts_of(language)
    yield entry.number
    yield formats.table_time(civil(entry.at, visit.zone), language)
    yield texts[line_name(entry) if new_status(entry) else f"type.{entry.type}"]
    yield visit.catalog.feature_title(entry.feature, language) if entry.feature else None
    yield entry.quantity
    yield entry.credits
    yield entry.quota
    yield texts[f"source.{entry.source}"] if entry.source else None
    yield entry.after.available
    yield entry.quota_remaining
    yield entry.after.owed
    yield entry.description
    yield texts["lines.erased"] if entry.erased else entry.customer
    yield entry.reference
    lots = [f"{lot_number(draw.lot)}: {draw.credits}" for draw in lot_draws(entry)]
    yield " / ".join(lots) or None
    yield entry.purchase
    requester = asked_by(entry)
    yield platform if platform and requester == "lines.by_platform" else texts[requester]
    yield " / ".join(map(str, earlier_lines(entry))) or None


def _file_name(visit: Visit, form: FilterForm) -> str:
    """creditos-petshop-1-2026-11: the account, and the period: a month, or its days."""
    first, last = (form.chosen.get(name) for name in ("from", "to"))
    period = [day for day in (first, last) if day]
    if first and last and first.endswith("-01"):
        month = date.fromisoformat(first)
        if date.fromisoformat(last) == months_later(month, 1) - timedelta(days=1):
            period = [first[:7]]
    return "-".join([texts_of(visit.session.language)["csv.credits"], visit.account.id, *period])


SHOW = PageRoute(method="GET", path="/portal/history", respond=show)
