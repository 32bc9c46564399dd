"""GET /v1/accounts/{account}/usage: what an account used in any span, by feature, source and day or month."""

from collections.abc import Iterable
from typing import Literal, TypedDict, get_args

from prepaid.api.http.requests import Request, account_of, check_query
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, DAY_OR_TIME, NO_ACCOUNT, Parameter, ResponseSchema, Route
from prepaid.api.http.times import parse_day_or_bound
from prepaid.core.errors import InvalidRequest
from prepaid.core.usage import By, Use, total_use
from prepaid.deps import Deps
from prepaid.use_cases.reporting import use_of_span

# The deadline of a request: enough for about a hundred thousand entries.
USAGE_SECONDS = 12.0
# The format of a period, by its kind: 2026-11-26, 2026-11.
PERIODS: dict[By, str] = {"day": "%Y-%m-%d", "month": "%Y-%m"}


class UseResponse(TypedDict):
    """Units of a feature that one source paid for, less what was reversed. credits: 0 for units of a quota.

    Units of a free feature count as paid by credits.
    """

    feature: str
    source: Literal["quota", "credits"]
    units: int
    credits: int


class PeriodResponse(TypedDict):
    """A civil day, as 2026-11-26, or month, as 2026-11, with use."""

    period: str
    uses: list[UseResponse]


class UsageResponse(TypedDict):
    """An account's use. time_zone: the account's current one; days and months are civil time in it.

    periods: those with use, oldest first. totals: the sums of `periods`. next_from: the `from` of the request that
    continues, if the span doesn't fit in one response; else null.
    """

    account: str
    time_zone: str
    by: Literal["day", "month"]
    totals: list[UseResponse]
    periods: list[PeriodResponse]
    next_from: str | None


def usage(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/usage: the use from `from` up to `to`, by day or month."""
    account_id = account_of(request)
    check_query(request, frozenset({"from", "to", "by"}))
    query = request.query
    by = _by(query.get("by", "month"))
    since, until = (parse_day_or_bound(query[name], name) if name in query else None for name in ("from", "to"))
    use = use_of_span(deps.table, account_id, since, until, by)
    body: UsageResponse = {
        "account": account_id,
        "time_zone": use.zone,
        "by": by,
        "totals": _uses(total_use(use.periods)),
        "periods": [
            {"period": f"{period.first:{PERIODS[by]}}", "uses": _uses(period.uses)}
            for period in use.periods
            if period.uses
        ],
        "next_from": use.next_from.isoformat() if use.next_from else None,
    }
    return Response(status=200, body=body)


def _by(text: str) -> By:
    for by in get_args(By):
        if text == by:
            return by  # type: ignore[no-any-return]
    raise InvalidRequest((("by", f"must be one of {', '.join(get_args(By))}"),))


def _uses(uses: Iterable[Use]) -> list[UseResponse]:
    return [{"feature": use.feature, "source": use.source, "units": use.units, "credits": use.credits} for use in uses]


SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/usage",
    operation_id="getUsage",
    summary="The use in a span of time, by feature, source and day or month",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="from",
            description="The first civil day in the account's zone, or a time (inclusive); default: the first entry.",
            schema=DAY_OR_TIME,
        ),
        Parameter(
            name="to",
            description="The civil day in the account's zone, or the time, at which the span ends (exclusive); "
            "default: now.",
            schema=DAY_OR_TIME,
        ),
        Parameter(
            name="by",
            description="The civil periods of the totals; default: month.",
            schema={"type": "string", "enum": list(get_args(By))},
        ),
    ),
    responses={200: ResponseSchema(UsageResponse)},
    refusals={**NO_ACCOUNT, 422: ("invalid_request",)},
    function=usage,
    deadline_seconds=USAGE_SECONDS,
)
