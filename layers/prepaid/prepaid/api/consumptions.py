"""POST /v1/accounts/{account}/consumptions: spending credits."""

from typing import Annotated, TypedDict

from pydantic import Field

from prepaid.api.entries import BalanceAfter, DrawAnswer, balance_after, draw_answer
from prepaid.api.http.bodies import Body, Slug, Text, body_of
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import ACCOUNT, BODY_REFUSALS, KEY, KEY_REFUSALS, NO_ACCOUNT, REPLAYED, Answer, Route
from prepaid.api.http.times import Time, rfc3339
from prepaid.core.entry import Entry
from prepaid.core.ids import consumption_id
from prepaid.core.ledger import Debit
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.store.ledger import append


class ConsumptionRequest(Body):
    """Spend `quantity` units of a feature."""

    feature: Slug
    quantity: Annotated[int, Field(ge=1, le=10_000)] = 1
    description: Text | None = None
    customer: Text | None = None
    reference: Text | None = None


class ConsumptionAnswer(TypedDict):
    """A recorded consumption. credits, quota: spent. balance: after it."""

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: list[DrawAnswer]
    balance: BalanceAfter
    created_at: Time


def consume(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/consumptions: spend, all or nothing, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, ConsumptionRequest)
    debit = Debit(
        actor=caller_of(request).name,
        feature=body.feature,
        quantity=body.quantity,
        description=body.description,
        customer=body.customer,
        reference=body.reference,
    )
    appended = append(
        deps.table,
        account_id,
        debit,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
    )
    return created(consumption_answer(appended.entries[-1]), replayed=appended.replayed)


def consumption_answer(entry: Entry) -> ConsumptionAnswer:
    """The response to a consumption, from its entry alone, so that a replay returns the same."""
    assert entry.feature is not None
    assert entry.quantity is not None
    return {
        "id": consumption_id(entry.number),
        "entry": entry.number,
        "feature": entry.feature,
        "quantity": entry.quantity,
        "credits": -entry.credits,
        "quota": -entry.quota,
        "draws": [draw_answer(draw) for draw in entry.draws],
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


CONSUME = Route(
    method="POST",
    path="/v1/accounts/{account}/consumptions",
    operation_id="consume",
    summary="Spend credits: the plan's quota first where it applies, then lots, all or nothing",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT, KEY),
    body=ConsumptionRequest,
    answers={201: Answer(ConsumptionAnswer, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        402: ("insufficient_credits",),
        409: ("idempotency_key_reused",),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        422: ("invalid_request", "feature_retired"),
    },
    function=consume,
)
