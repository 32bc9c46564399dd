"""GET /v1/accounts/{account}/statements/{month}: the movements of a civil month, from opening to closing balance."""

from datetime import date, datetime
from typing import TypedDict

from prepaid.api.http.media_types import preferred
from prepaid.api.http.requests import Request, account_of, check_query
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, NO_ACCOUNT, Parameter, ResponseSchema, Route
from prepaid.api.http.times import FIRST_YEAR, MONTH, Time, read_month
from prepaid.core.calendar import rfc3339
from prepaid.core.errors import InvalidRequest
from prepaid.core.statement import Statement, is_closed
from prepaid.deps import Deps
from prepaid.use_cases.reporting import read_span, statement_of_month

CSV = "text/csv"
MEDIA_TYPES = ("application/json", CSV)
COLUMNS = ("month", "time_zone", "as_of", "line", "feature", "credits", "quota_units", "owed")
# The deadline of computing a month: enough for about a hundred thousand entries. A closed month's row takes one read.
STATEMENT_SECONDS = 12.0


class StatementCreditsResponse(TypedDict):
    """Credits, signed: the opening balance and the movements add up to the closing balance.

    purchased, promotional, adjusted: as granted. debt_settled: how much of the incoming credits paid a debt.
    taken_back: by refunds and disputes. returned: when a refund failed or a dispute was won. reversed: what reversals
    returned. held: what new holds reserved, less what ended holds had reserved.
    """

    opening: int
    purchased: int
    promotional: int
    adjusted: int
    returned: int
    debt_settled: int
    spent: int
    reversed: int
    held: int
    expired: int
    taken_back: int
    voided: int
    closing: int


class FeatureUseResponse(TypedDict):
    """A feature's use, less what was reversed. quota_units: the units that the quota paid for. credits: the price of
    the others."""

    feature: str
    units: int
    quota_units: int
    credits: int


class OwedResponse(TypedDict):
    """Credits owed before and after the month."""

    opening: int
    closing: int


class StatementResponse(TypedDict):
    """A month's statement. closed: whether it is final; if not, it covers the month until as_of.

    time_zone: the zone in which the month ends. entries: how many entries it sums up.
    """

    account: str
    month: str
    time_zone: str
    starts_at: Time
    ends_at: Time
    closed: bool
    as_of: Time
    entries: int
    credits: StatementCreditsResponse
    uses: list[FeatureUseResponse]
    owed: OwedResponse


def statement(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/statements/{month}: as JSON, or as CSV if Accept prefers it."""
    account_id = account_of(request)
    check_query(request, frozenset())
    month = month_from(request.path.get("month", ""))
    span = read_span(deps.table, account_id)
    month_statement = statement_of_month(deps.table, span, month, catalog=deps.catalog(deps.table), now=request.now)
    body = statement_response(account_id, month_statement, request.now)
    if preferred(request.headers.get("accept", ""), MEDIA_TYPES) == CSV:
        return Response(status=200, body=_csv_file(body), headers={"Content-Type": f"{CSV}; charset=utf-8"})
    return Response(status=200, body=body)


def month_from(text: str) -> date:
    """The first day of a month such as 2026-11. Raises InvalidRequest."""
    month = read_month(text)
    if month is None:
        raise InvalidRequest((("month", f"must be a year from {FIRST_YEAR} to 2499 and a month, as in 2026-11"),))
    return month


def statement_response(account_id: str, statement: Statement, now: datetime) -> StatementResponse:
    """A statement, as the API shows it at `now`."""
    moved = statement.moved
    closed = is_closed(statement, now)
    return {
        "account": account_id,
        "month": f"{statement.month:%Y-%m}",
        "time_zone": statement.zone,
        "starts_at": rfc3339(statement.starts_at),
        "ends_at": rfc3339(statement.ends_at),
        "closed": closed,
        "as_of": rfc3339(statement.ends_at if closed else min(now, statement.ends_at)),
        "entries": statement.entries,
        "credits": {
            "opening": statement.opening,
            "purchased": moved.purchased,
            "promotional": moved.promotional,
            "adjusted": moved.adjusted,
            "returned": moved.returned,
            "debt_settled": moved.debt_settled,
            "spent": moved.spent,
            "reversed": moved.reversed,
            "held": moved.held,
            "expired": moved.expired,
            "taken_back": moved.taken_back,
            "voided": moved.voided,
            "closing": statement.closing,
        },
        "uses": [
            {"feature": use.feature, "units": use.units, "quota_units": use.quota_units, "credits": use.credits}
            for use in statement.uses
        ],
        "owed": {"opening": statement.owed_opening, "closing": statement.owed_closing},
    }


def _csv_file(statement: StatementResponse) -> str:
    """One line for each movement, one for each feature that was used, and two for what is owed."""
    from prepaid.api.http.csv_lines import BYTE_ORDER_MARK, csv_line  # noqa: PLC0415 - only exports use it

    head = (statement["month"], statement["time_zone"], statement["as_of"])
    lines: list[tuple[str | int | None, ...]] = []
    for name, credits in statement["credits"].items():
        if name == "spent":
            lines += [
                (*head, name, use["feature"], -use["credits"], use["quota_units"], None) for use in statement["uses"]
            ]
        else:
            assert isinstance(credits, int)
            lines.append((*head, name, None, credits, None, None))
    owed = statement["owed"]
    lines += [
        (*head, "owed_opening", None, None, None, owed["opening"]),
        (*head, "owed_closing", None, None, None, owed["closing"]),
    ]
    return "".join([BYTE_ORDER_MARK, csv_line(COLUMNS), *(csv_line(line) for line in lines)])


SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/statements/{month}",
    operation_id="getStatement",
    summary="A civil month's statement, as JSON or as CSV (Accept: text/csv)",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="month",
            where="path",
            required=True,
            description="The month, in the account's time zone, as in 2026-11: since the account was opened, up to the "
            "current one.",
            schema={"type": "string", "pattern": f"^{MONTH}$"},
        ),
    ),
    responses={200: ResponseSchema(StatementResponse, text_type=CSV)},
    refusals={**NO_ACCOUNT, 422: ("invalid_request",)},
    function=statement,
    deadline_seconds=STATEMENT_SECONDS,
)
