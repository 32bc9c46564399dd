"""GET /v1/accounts/{account}/history: an account's entries, newest first."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from prepaid.api.entries import DrawResponse, draw_response
from prepaid.api.http.bodies import MAX_TEXT, SLUG, SLUG_SENTENCE
from prepaid.api.http.cursors import read_cursor, sign_cursor
from prepaid.api.http.media_types import preferred
from prepaid.api.http.requests import Request, account_of, check_query, limit_of
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import (
    ACCOUNT,
    DAY_OR_TIME,
    DEADLINE_SECONDS,
    NO_ACCOUNT,
    Header,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.texts import check_text
from prepaid.api.http.times import Time, parse_day_or_bound
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Entry, EntryType, LotDraw, Source
from prepaid.core.errors import InvalidRequest
from prepaid.core.ids import hold_id
from prepaid.deps import Deps, with_earlier_deadline
from prepaid.store.dynamodb import Table
from prepaid.store.secrets import Versions
from prepaid.use_cases.searching import Filters, entry_range, read_page, search

CSV = "text/csv"
# JSON is also the response to a request that accepts neither.
MEDIA_TYPES = ("application/json", CSV)
LISTING = "history"
# The columns of a file.
COLUMNS = (
    "entry",
    "at",
    "type",
    "credits",
    "quota",
    "owed",
    "feature",
    "quantity",
    "description",
    "customer",
    "reference",
    "source",
    "balance_after",
    "quota_remaining",
    "lot",
    "purchase",
    "actor",
)
# The placeholder for erased texts in a file.
ERASED_CELL = "erased"
FILTERS = frozenset({"type", "feature", "source", "customer", "reference", "from", "to"})
DEFAULT_LIMIT, MAX_LIMIT = 50, 100
MAX_LINES = 10_000
# A Lambda response has at most 6,291,556 bytes of JSON, in which a letter beyond ASCII may take 6 bytes.
MAX_FILE_BYTES = 6_000_000
# The deadline of a file; ten thousand lines take about three seconds.
FILE_SECONDS = 20.0


class QuotaChange(TypedDict):
    """How an entry changed one feature's quota: negative when units were drawn."""

    feature: str
    units: int


class EntryResponse(TypedDict):
    """An entry of the history. lot: the lot that the entry granted or voided. quota: the sum of `quotas`.

    quota_remaining: of the feature's quota if the plan has one, else of all quotas. erased: whether an erasure removed
    the texts. holds: the holds that the entry placed or ended. returned: what a captured hold gave back. expired:
    credits of holds that were lost because their lot had expired. reverses: the entry whose charge this one returns.
    """

    entry: int
    at: Time
    type: str
    credits: int
    quota: int
    quotas: list[QuotaChange]
    owed: int
    feature: str | None
    quantity: int | None
    description: str | None
    customer: str | None
    reference: str | None
    source: Literal["quota", "credits", "both"] | None
    balance_after: int
    quota_remaining: int
    draws: list[DrawResponse]
    holds: list[str]
    returned: list[DrawResponse]
    expired: list[DrawResponse]
    reverses: int | None
    lot: str | None
    purchase: str | None
    actor: str
    erased: bool


class HistoryResponse(TypedDict):
    """A page of the history, newest first. next_cursor: null on the last page.

    With filters a page may have few entries or none and still have a next page: continue until next_cursor is null.
    """

    entries: list[EntryResponse]
    next_cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A validated request. raw_filters: as they were sent, because cursors are bound to them. before: see EntryPage."""

    account_id: str
    filters: Filters
    raw_filters: Mapping[str, str]
    before: int | None
    limit: int | None


def history(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/history: one page as JSON, or a whole file as CSV if Accept prefers it."""
    if preferred(request.headers.get("accept", ""), MEDIA_TYPES) == CSV:
        return _csv_file(_query_of(request, deps), deps)
    # The route's deadline is for files. A page has the deadline of every other route.
    deps = with_earlier_deadline(deps, DEADLINE_SECONDS)
    query = _query_of(request, deps)
    first, last = entry_range(deps.table, query.account_id, query.filters, query.before)
    page = read_page(deps.table, query.account_id, query.filters, first, last, query.limit or DEFAULT_LIMIT)
    body: HistoryResponse = {
        "entries": [entry_response(entry) for entry in page.entries],
        "next_cursor": _cursor(query, page.before, deps.cursor_secrets(deps.table.deadline)) if page.before else None,
    }
    return Response(status=200, body=body)


def _query_of(request: Request, deps: Deps) -> Query:
    account_id = account_of(request)
    check_query(request, FILTERS | {"limit", "cursor"})
    filters = _filters(request.query)
    limit = limit_of(request, MAX_LIMIT)
    raw_filters = {name: value for name, value in request.query.items() if name in FILTERS}
    before = None
    if "cursor" in request.query:
        before = int(
            read_cursor(
                request.query["cursor"], LISTING, account_id, raw_filters, deps.cursor_secrets(deps.table.deadline)
            )
        )
    return Query(account_id=account_id, filters=filters, raw_filters=raw_filters, before=before, limit=limit)


def _cursor(query: Query, before: int, secrets: Versions) -> str:
    return sign_cursor(str(before), LISTING, query.account_id, query.raw_filters, secrets)


def _filters(query: Mapping[str, str]) -> Filters:
    for name, allowed in (("type", get_args(EntryType)), ("source", get_args(Source))):
        if name in query and query[name] not in allowed:
            raise InvalidRequest(((name, f"must be one of {', '.join(allowed)}"),))
    if "feature" in query and not re.fullmatch(SLUG, query["feature"]):
        raise InvalidRequest((("feature", SLUG_SENTENCE),))
    for name in ("customer", "reference"):
        _check_text(query.get(name), name)
    return Filters(
        type=query.get("type"),
        feature=query.get("feature"),
        source=query.get("source"),
        since=parse_day_or_bound(query["from"], "from") if "from" in query else None,
        until=parse_day_or_bound(query["to"], "to") if "to" in query else None,
        customer=query.get("customer"),
        reference=query.get("reference"),
    )


def _check_text(text: str | None, field: str) -> None:
    """Reject a text that no entry can have."""
    if text is None:
        return
    if not 1 <= len(text) <= MAX_TEXT:
        raise InvalidRequest(((field, f"must have 1 to {MAX_TEXT} characters"),))
    try:
        check_text(text)
    except ValueError as error:
        raise InvalidRequest(((field, str(error)),)) from None


def _csv_file(query: Query, deps: Deps) -> Response:
    """The CSV file. If it isn't complete, its last line and the header Next-Cursor say so."""
    from prepaid.api.http.csv_lines import BYTE_ORDER_MARK, csv_line  # noqa: PLC0415 - only exports use it

    # Read the secret first: the deadline may end the file, and no secret can be read after it.
    secrets = deps.cursor_secrets(deps.table.deadline)
    lines, before = _read_lines(deps.table, query)
    headers = {"Content-Type": f"{CSV}; charset=utf-8"}
    if before:
        headers["Next-Cursor"] = _cursor(query, before, secrets)
        notice = f"This file is not complete. The same request with cursor={headers['Next-Cursor']} continues it."
        lines.append(csv_line([notice, *[None] * (len(COLUMNS) - 1)]))
    return Response(status=200, body="".join([BYTE_ORDER_MARK, csv_line(COLUMNS), *lines]), headers=headers)


def _read_lines(table: Table, query: Query) -> tuple[list[str], int | None]:
    """The CSV lines of the matching entries, and an EntryPage's `before`.

    Stops at the query's limit, at MAX_FILE_BYTES and at the table's deadline. Raises AccountNotFound, and Busy if
    nothing was read before the deadline.
    """
    from prepaid.api.http.csv_lines import csv_line  # noqa: PLC0415 - only exports use it

    bounds = entry_range(table, query.account_id, query.filters, query.before)
    lines: list[str] = []
    size, before = 0, None
    for page in search(table, query.account_id, query.filters, bounds, query.limit or MAX_LINES):
        for entry in page.entries:
            line = csv_line(csv_cells(entry))
            size += len(json.dumps(line))
            if size > MAX_FILE_BYTES:
                return lines, entry.number + 1
            lines.append(line)
        before = page.before
    return lines, before


def csv_cells(entry: Entry) -> Iterator[Any]:
    """The entry's cells, in the order of COLUMNS.

    If the texts were erased, the customer's cell says so. Which other texts the entry had isn't known any more.
    """
    response: Mapping[str, Any] = entry_response(entry)
    for column in COLUMNS:
        yield ERASED_CELL if entry.erased and column == "customer" else response[column]


def entry_response(entry: Entry) -> EntryResponse:
    """An entry, as the history shows it."""
    return {
        "entry": entry.number,
        "at": rfc3339(entry.at),
        "type": entry.type,
        "credits": entry.credits,
        "quota": entry.quota,
        "quotas": [{"feature": feature, "units": units} for feature, units in entry.quotas.items()],
        "owed": entry.owed,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "description": entry.description,
        "customer": entry.customer,
        "reference": entry.reference,
        "source": entry.source,
        "balance_after": entry.after.available,
        "quota_remaining": entry.quota_remaining,
        "draws": [draw_response(draw) for draw in entry.draws],
        "holds": [hold_id(number) for number in ((entry.number,) if entry.type == "hold" else entry.holds)],
        "returned": [draw_response(draw) for draw in entry.returned],
        "expired": [draw_response(draw) for draw in entry.expired],
        "reverses": entry.reverses,
        "lot": _lot(entry),
        "purchase": entry.purchase,
        "actor": entry.actor,
        "erased": entry.erased,
    }


def _lot(entry: Entry) -> str | None:
    """The lot that the entry granted, or voided."""
    if entry.type == "void":
        return next((draw.lot for draw in entry.draws if isinstance(draw, LotDraw)), None)
    return entry.lot.id if entry.lot else None


TEXT_FILTER = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/history",
    operation_id="getHistory",
    summary="Entries, newest first: a page as JSON, or a whole file as CSV (Accept: text/csv)",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="type",
            description="Only entries of this type.",
            schema={"type": "string", "enum": list(get_args(EntryType))},
        ),
        Parameter(
            name="feature",
            description="Only consumptions of this feature.",
            schema={"type": "string", "pattern": SLUG},
        ),
        Parameter(
            name="source",
            description="Only entries paid from this source. An entry paid from both (`source` is `both`) matches "
            "`quota` and `credits`; `both` matches such entries only.",
            schema={"type": "string", "enum": list(get_args(Source))},
        ),
        Parameter(name="customer", description="Only entries with exactly this customer.", schema=TEXT_FILTER),
        Parameter(name="reference", description="Only entries with exactly this reference.", schema=TEXT_FILTER),
        Parameter(
            name="from",
            description="Only entries from this time on (inclusive), with any fraction of a second; or from the start "
            "of this civil day in the account's zone.",
            schema=DAY_OR_TIME,
        ),
        Parameter(
            name="to",
            description="Only entries before this time (exclusive), with any fraction of a second; or before the start "
            "of this civil day in the account's zone.",
            schema=DAY_OR_TIME,
        ),
        Parameter(
            name="limit",
            description=f"The most entries on a page; default: {DEFAULT_LIMIT}, and {MAX_LINES} in a CSV file. A page "
            "may have fewer; with a filter other than dates it may be empty although `next_cursor` leads to more.",
            schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        ),
        Parameter(
            name="cursor",
            description="`next_cursor` of the previous page, with the same filters; default: the newest entries.",
        ),
    ),
    responses={
        200: ResponseSchema(
            HistoryResponse,
            headers=(
                Header(
                    name="Next-Cursor", description="The cursor that continues a CSV file, if the file is not complete."
                ),
            ),
            text_type=CSV,
        )
    },
    refusals={400: ("invalid_cursor",), **NO_ACCOUNT, 422: ("invalid_request",)},
    function=history,
    deadline_seconds=FILE_SECONDS,
)
