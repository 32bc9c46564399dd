"""/v1/accounts/{account}/grants: an administrator's promotions and adjustments, and their voids (rule 19)."""

from datetime import datetime
from typing import Annotated, Literal, Self, TypedDict

from pydantic import BeforeValidator, Field, model_validator

from prepaid.api.entries import BalanceAfter, balance_after
from prepaid.api.http.bodies import MAX_CREDITS, Body, Text, body_of
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    REPLAYED,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time, read_rfc3339
from prepaid.core.calendar import floor_to_millisecond, rfc3339
from prepaid.core.entry import Entry, LotDraw
from prepaid.core.ids import grant_id, grant_number, lot_number, void_id
from prepaid.core.ledger import Grant, Void
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.store.ledger import append
from prepaid.use_cases.voiding import void_grant

# Pydantic alone would also accept a quoted number, as seconds since 1970.
type TimeOrNone = Annotated[
    datetime | None,
    BeforeValidator(
        lambda value: None if value is None else read_rfc3339(value),
        json_schema_input_type=Time | None,
    ),
]


class GrantRequest(Body):
    """Grant credits. They expire at `expires_at`, or after `valid_months` civil months; default: 12 months."""

    credits: Annotated[int, Field(ge=1, le=MAX_CREDITS)]
    kind: Literal["promotion", "adjustment"]
    reason: Text
    expires_at: TimeOrNone = None
    valid_months: Annotated[int, Field(ge=1, le=120)] | None = None

    @model_validator(mode="after")
    def _one_validity(self) -> Self:
        if self.expires_at is not None and self.valid_months is not None:
            raise ValueError("send expires_at or valid_months, not both")
        return self

    def validity(self) -> datetime | int:
        """An instant, or a number of months."""
        return self.expires_at or self.valid_months or 12


class GrantResponse(TypedDict):
    """A recorded grant. balance: after it."""

    id: str
    entry: int
    kind: str
    credits: int
    lot: str
    reason: str
    expires_at: Time
    balance: BalanceAfter
    created_at: Time


class VoidRequest(Body):
    """Take back `credits` of what remains of a grant; default: all that remains."""

    credits: Annotated[int, Field(ge=1, le=MAX_CREDITS)] | None = None
    reason: Text


class VoidResponse(TypedDict):
    """A recorded void. credits: how many it took back. remaining: credits left in the lot. balance: after the void."""

    id: str
    entry: int
    grant: str
    lot: str
    credits: int
    remaining: int
    reason: str
    balance: BalanceAfter
    created_at: Time


def grant(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/grants: add a lot, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, GrantRequest)
    validity = body.validity()
    operation = Grant(
        actor=caller_of(request).name,
        kind=body.kind,
        credits=body.credits,
        validity=floor_to_millisecond(validity) if isinstance(validity, datetime) else validity,
        description=body.reason,
    )
    appended = append(
        deps.table,
        account_id,
        operation,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return created(grant_response(appended.entries[-1]), replayed=appended.replayed)


def grant_response(entry: Entry) -> GrantResponse:
    """The response to a grant, from its entry alone, so that a replay returns the same."""
    assert entry.lot is not None
    lot = entry.lot
    return {
        "id": grant_id(entry.number),
        "entry": entry.number,
        "kind": lot.kind,
        "credits": lot.granted,
        "lot": lot.id,
        "reason": entry.description or "",
        "expires_at": rfc3339(lot.expires_at),
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


def void(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/grants/{id}/voids: take back what remains of the grant's lot, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, VoidRequest)
    operation = Void(
        actor=caller_of(request).name,
        lot=grant_number(request.path.get("id", "")),
        credits=body.credits,
        description=body.reason,
    )
    voided = void_grant(
        deps.table,
        account_id,
        operation,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return created(void_response(voided.entries[-1]), replayed=voided.replayed)


def void_response(entry: Entry) -> VoidResponse:
    """The response to a void, from its entry alone, so that a replay returns the same."""
    [draw] = entry.draws
    assert isinstance(draw, LotDraw)
    number = lot_number(draw.lot)
    return {
        "id": void_id(entry.number),
        "entry": entry.number,
        "grant": grant_id(number),
        "lot": draw.lot,
        "credits": draw.credits,
        "remaining": next((lot.remaining for lot in entry.after.lots if lot.number == number), 0),
        "reason": entry.description or "",
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


GRANT = Route(
    method="POST",
    path="/v1/accounts/{account}/grants",
    operation_id="grantCredits",
    summary="Grant credits, with a reason",
    scopes=("prepaid/admin",),
    parameters=(ACCOUNT, KEY),
    body=GrantRequest,
    responses={201: ResponseSchema(GrantResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        409: ("idempotency_key_reused", "too_many_lots"),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
    },
    function=grant,
)
VOID = Route(
    method="POST",
    path="/v1/accounts/{account}/grants/{id}/voids",
    operation_id="voidGrant",
    summary="Take back what remains of a grant, with a reason",
    scopes=("prepaid/admin",),
    parameters=(
        ACCOUNT,
        Parameter(
            name="id",
            where="path",
            required=True,
            description="The grant's id, or its lot's, which balance and history show.",
        ),
        KEY,
    ),
    body=VoidRequest,
    responses={201: ResponseSchema(VoidResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        409: ("idempotency_key_reused", "exceeds_remaining", "purchase_not_voidable"),
        **BODY_REFUSALS,
        404: ("account_not_found", "grant_not_found"),
    },
    function=void,
)
