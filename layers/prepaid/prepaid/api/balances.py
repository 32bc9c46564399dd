"""GET /v1/accounts/{account}/balance: an account's balance, now or at any time since it was opened."""

from typing import TypedDict

from prepaid.api.http.requests import Request, account_of, check_query
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, NO_ACCOUNT, TIME, Parameter, ResponseSchema, Route
from prepaid.api.http.times import Time, parse_rfc3339
from prepaid.core.account import Account, Status, quota_limits, quotas_remaining, units_left
from prepaid.core.calendar import rfc3339
from prepaid.core.catalog import Catalog
from prepaid.core.errors import InvalidRequest
from prepaid.deps import Deps
from prepaid.store.ledger import read_tail
from prepaid.use_cases.reading import account_at, account_now


class LotResponse(TypedDict):
    """A lot with credits left."""

    lot: str
    kind: str
    granted: int
    remaining: int
    granted_at: Time
    expires_at: Time


class CreditsResponse(TypedDict):
    """The credits in a balance."""

    available: int
    held: int
    owed: int
    next_expiry_at: Time | None
    lots: list[LotResponse]


class QuotaResponse(TypedDict):
    """A feature's quota in a balance. used: may exceed `limit` after a change to a smaller plan."""

    feature: str
    limit: int
    used: int
    remaining: int
    renews_at: Time


class FeatureResponse(TypedDict):
    """Whether a feature can be used. units_left: null for a free feature, which has no limit.

    A retired feature can't be used. It is listed only while the account's plan has a quota of it.
    """

    price: int
    can_use: bool
    units_left: int | None


class BalanceResponse(TypedDict):
    """An account's balance at one instant. status: a frozen or closed account can use no feature."""

    account: str
    status: Status
    as_of: Time
    entry: int
    credits: CreditsResponse
    quotas: list[QuotaResponse]
    features: dict[str, FeatureResponse]


def balance(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/balance: the balance now, or at the time `at`. Writes nothing."""
    account_id = account_of(request)
    check_query(request, frozenset({"at"}))
    at = parse_rfc3339(request.query["at"], "at") if "at" in request.query else None
    if at is not None and at > request.now:
        raise InvalidRequest((("at", "must not be in the future"),))
    table = deps.table
    newest = read_tail(table, account_id).entry
    if at is None:
        at, found = request.now, account_now(table, newest, catalog=deps.catalog(table), now=request.now)
    else:
        earlier = account_at(table, newest, at)
        if earlier is None:
            raise InvalidRequest((("at", "is before the account was opened"),))
        found = earlier
    body = balance_response(found.account, found.catalog, entry=found.newest.number, as_of=rfc3339(at))
    return Response(status=200, body=body)


def balance_response(account: Account, catalog: Catalog, *, entry: int, as_of: str) -> BalanceResponse:
    """The response for a settled account. as_of: the instant. entry: the number of the last entry written by then."""
    return {
        "account": account.id,
        "status": account.terms.status,
        "as_of": as_of,
        "entry": entry,
        "credits": {
            "available": account.available,
            "held": account.held,
            "owed": account.owed,
            "next_expiry_at": rfc3339(account.lots[0].expires_at) if account.lots else None,
            "lots": [
                {
                    "lot": lot.id,
                    "kind": lot.kind,
                    "granted": lot.granted,
                    "remaining": lot.remaining,
                    "granted_at": rfc3339(lot.granted_at),
                    "expires_at": rfc3339(lot.expires_at),
                }
                for lot in account.lots
            ],
        },
        "quotas": _quotas(account, catalog),
        "features": {
            feature.id: {
                "price": feature.price,
                "can_use": (left := units_left(account, feature, catalog)) is None or left > 0,
                "units_left": left,
            }
            for feature in catalog.features
            if feature.active or feature.id in quota_limits(account, catalog)
        },
    }


def _quotas(account: Account, catalog: Catalog) -> list[QuotaResponse]:
    remaining = quotas_remaining(account, catalog)
    return [
        {
            "feature": feature,
            "limit": limit,
            "used": account.quotas_used.get(feature, 0),
            "remaining": remaining[feature],
            "renews_at": rfc3339(account.quota_renews_at),
        }
        for feature, limit in quota_limits(account, catalog).items()
    ]


SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/balance",
    operation_id="getBalance",
    summary="The account's balance, now or at a time since it was opened",
    scopes=("prepaid/read",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="at", description="The time of the balance, since the account was opened; default: now.", schema=TIME
        ),
    ),
    responses={200: ResponseSchema(BalanceResponse)},
    refusals={**NO_ACCOUNT, 422: ("invalid_request",)},
    function=balance,
)
