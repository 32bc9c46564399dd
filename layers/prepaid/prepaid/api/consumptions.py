"""/v1/accounts/{account}/consumptions: spending credits, and looking up whether they were spent."""

from typing import Annotated, TypedDict

from pydantic import Field

from prepaid.api.entries import BalanceAfter, DrawResponse, balance_after, draw_response
from prepaid.api.http.bodies import MAX_QUANTITY, Body, Slug, Text, body_of
from prepaid.api.http.requests import (
    IDEMPOTENCY_KEY,
    Request,
    account_of,
    caller_of,
    check_query,
    idempotency_key_of,
)
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    NOT_ACTIVE,
    REPLAYED,
    Parameter,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Entry
from prepaid.core.errors import ConsumptionNotFound, InvalidRequest
from prepaid.core.ids import consumption_id, consumption_number
from prepaid.core.ledger import Debit
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.store.ledger import find_by_key, find_entry, read_tail
from prepaid.use_cases.debiting import append_debit

LOOK_UP_SCOPES = ("prepaid/consume", "prepaid/read")
KEY_SENTENCE = "must be 1 to 255 visible ASCII characters"


class ConsumptionRequest(Body):
    """Spend `quantity` units of a feature."""

    feature: Slug
    quantity: Annotated[int, Field(ge=1, le=MAX_QUANTITY)] = 1
    description: Text | None = None
    customer: Text | None = None
    reference: Text | None = None


class ConsumptionResponse(TypedDict):
    """A recorded consumption. credits, quota: what it spent. balance: after it."""

    id: str
    entry: int
    feature: str
    quantity: int
    credits: int
    quota: int
    draws: list[DrawResponse]
    balance: BalanceAfter
    created_at: Time


def consume(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/consumptions: spend, all or nothing, once per key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, ConsumptionRequest)
    appended = append_debit(
        deps.table,
        account_id,
        debit_of(body, caller_of(request).name),
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        salt=deps.random_bytes(SALT_BYTES),
        crowds=deps.crowds,
    )
    return created(consumption_response(appended.entries[-1]), replayed=appended.replayed)


def debit_of(body: ConsumptionRequest, actor: str) -> Debit:
    """The debit that a request asks for."""
    return Debit(
        actor=actor,
        feature=body.feature,
        quantity=body.quantity,
        description=body.description,
        customer=body.customer,
        reference=body.reference,
    )


def show(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/consumptions/{id}: the original response to a consumption."""
    account_id = account_of(request)
    entry = find_entry(deps.table, account_id, consumption_number(request.path.get("id", "")))
    return _found(entry, account_id, deps)


def find(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}/consumptions?idempotency_key=: the consumption of a key, if there is one."""
    account_id = account_of(request)
    check_query(request, frozenset({"idempotency_key"}))
    key = request.query.get("idempotency_key", "")
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidRequest((("idempotency_key", KEY_SENTENCE),))
    return _found(find_by_key(deps.table, account_id, key), account_id, deps)


def _found(entry: Entry | None, account_id: str, deps: Deps) -> Response:
    if entry is None:
        # Only now check whether the account exists, so that a consumption that exists costs no further read.
        read_tail(deps.table, account_id)
    if entry is None or entry.type != "consumption":
        raise ConsumptionNotFound
    return Response(status=200, body=consumption_response(entry))


def consumption_response(entry: Entry) -> ConsumptionResponse:
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
        "draws": [draw_response(draw) for draw in entry.draws],
        "balance": balance_after(entry),
        "created_at": rfc3339(entry.at),
    }


NOT_FOUND = {404: ("account_not_found", "consumption_not_found")}
CONSUME = Route(
    method="POST",
    path="/v1/accounts/{account}/consumptions",
    operation_id="consume",
    summary="Spend credits: the plan's quota first where it applies, then lots, all or nothing",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT, KEY),
    body=ConsumptionRequest,
    responses={201: ResponseSchema(ConsumptionResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        402: ("insufficient_credits",),
        409: ("idempotency_key_reused", *NOT_ACTIVE),
        **NO_ACCOUNT,
        **BODY_REFUSALS,
        422: ("invalid_request", "feature_retired"),
    },
    function=consume,
)
SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}/consumptions/{id}",
    operation_id="getConsumption",
    summary="A consumption",
    scopes=LOOK_UP_SCOPES,
    parameters=(ACCOUNT, Parameter(name="id", where="path", required=True, description="The consumption's id.")),
    responses={200: ResponseSchema(ConsumptionResponse)},
    refusals=NOT_FOUND,
    function=show,
)
FIND = Route(
    method="GET",
    path="/v1/accounts/{account}/consumptions",
    operation_id="findConsumption",
    summary="The consumption of an idempotency key, if it took effect",
    scopes=LOOK_UP_SCOPES,
    parameters=(
        ACCOUNT,
        Parameter(
            name="idempotency_key",
            required=True,
            description="The key of the request that may have taken effect.",
            schema={"type": "string", "pattern": f"^{IDEMPOTENCY_KEY.pattern}$"},
        ),
    ),
    responses={200: ResponseSchema(ConsumptionResponse)},
    refusals={**NOT_FOUND, 422: ("invalid_request",)},
    function=find,
)
