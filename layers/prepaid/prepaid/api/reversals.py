"""POST /v1/accounts/{account}/consumptions/{id}/reversals: returning what was charged (rule 15)."""

from typing import Annotated, TypedDict

from pydantic import Field

from prepaid.api.entries import BalanceAfter, DrawResponse, balance_after, draw_response
from prepaid.api.http.bodies import MAX_QUANTITY, Body, Text, body_of
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    REPLAYED,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Entry
from prepaid.core.ids import charge_number, reversal_id
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.use_cases.reversing import reverse_charge


class ReversalRequest(Body):
    """Return `quantity` units of a charge; default: all that are left."""

    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] | None = None
    reason: Text


class ReversalResponse(TypedDict):
    """A recorded reversal. reversed_entry: the entry of the consumption or capture. quantity: units that count as
    returned.

    credits: credits returned, including those that paid `owed` credits. quota: units returned to the quota; those of a
    past period don't return. draws: negative. lot: a lot valid for 7 days, with the credits whose own lot has expired;
    null without any. balance: after the reversal.
    """

    id: str
    entry: int
    reversed_entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    owed: int
    draws: list[DrawResponse]
    lot: str | None
    reason: str
    balance: BalanceAfter
    created_at: Time


def reverse(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/consumptions/{id}/reversals: return units of a charge, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, ReversalRequest)
    appended = reverse_charge(
        deps.table,
        account_id,
        actor=caller_of(request).name,
        entry=charge_number(request.path.get("id", "")),
        quantity=body.quantity,
        description=body.reason,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return created(reversal_response(appended.entries[-1]), replayed=appended.replayed)


def reversal_response(entry: Entry) -> ReversalResponse:
    """The response to a reversal, from its entry alone, so that a replay returns the same."""
    assert entry.reverses is not None
    assert entry.feature is not None
    assert entry.quantity is not None
    return {
        "id": reversal_id(entry.number),
        "entry": entry.number,
        "reversed_entry": entry.reverses,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "credits": -entry.spent,
        "quota": -entry.quota_units - (entry.past_quota or 0),
        "owed": entry.owed,
        "draws": [draw_response(draw) for draw in entry.draws],
        "lot": entry.lot.id if entry.lot else None,
        "reason": entry.description or "",
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


REVERSE = Route(
    method="POST",
    path="/v1/accounts/{account}/consumptions/{id}/reversals",
    operation_id="reverseCharge",
    summary="Return what a consumption or a capture charged, in whole or in part",
    scopes=("prepaid/consume",),
    parameters=(
        ACCOUNT,
        Parameter(name="id", where="path", required=True, description="The id of the consumption or capture."),
        KEY,
    ),
    body=ReversalRequest,
    responses={201: ResponseSchema(ReversalResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        409: ("idempotency_key_reused", "already_reversed"),
        **BODY_REFUSALS,
        404: ("account_not_found", "consumption_not_found"),
    },
    function=reverse,
)
