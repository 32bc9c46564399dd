"""/v1/accounts/{account}/consumptions/batch: spending credits on many things in one request."""

from http import HTTPStatus
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field, SkipValidation, StringConstraints

from prepaid.api.consumptions import (
    KEY_SENTENCE,
    ConsumptionRequest,
    ConsumptionResponse,
    consumption_response,
    debit_of,
)
from prepaid.api.http.bodies import Body, body_of, part_of, with_message
from prepaid.api.http.problems import problem_response
from prepaid.api.http.requests import IDEMPOTENCY_KEY, Request, account_of, caller_of
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, BODY_REFUSALS, NO_ACCOUNT, ResponseSchema, Route
from prepaid.api.http.times import Time
from prepaid.core.errors import InvalidRequest, Refused
from prepaid.deps import Deps
from prepaid.store.items import SALT_BYTES
from prepaid.store.waiting import KeyedDebit
from prepaid.telemetry import Metric, count
from prepaid.use_cases.debiting import Outcome, append_each

# This many items fit in one transaction, with the expiries, lapses and renewal before them.
MAX_ITEMS = 40


class BatchItem(ConsumptionRequest):
    """A consumption with its own idempotency key."""

    idempotency_key: Annotated[
        str, StringConstraints(pattern=f"^{IDEMPOTENCY_KEY.pattern}$"), with_message(KEY_SENTENCE)
    ]


class BatchRequest(Body):
    """Consumptions of the account, carried out in order. An invalid item is refused; the others are carried out."""

    items: Annotated[list[SkipValidation[BatchItem]], Field(min_length=1, max_length=MAX_ITEMS)]


class ConsumedItem(ConsumptionResponse):
    """An item that took effect. replayed: whether it took effect in an earlier request, or earlier in this one."""

    status: Literal[201]
    replayed: bool


class FieldError(TypedDict):
    """An invalid field of an item."""

    field: str
    message: str


class RefusedItem(TypedDict):
    """An item that was refused, with the same problem that the consumption would get as a request of its own."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[FieldError]]
    needed: NotRequired[int]
    available: NotRequired[int]
    quota_remaining: NotRequired[int]
    renews_at: NotRequired[Time | None]
    suggested_pack: NotRequired[str | None]


class BatchResponse(TypedDict):
    """A result for each item, in order."""

    results: list[ConsumedItem | RefusedItem]


def consume_each(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/consumptions/batch: spend item by item, each once per key."""
    account_id, actor = account_of(request), caller_of(request).name
    items = [_item_of(raw) for raw in body_of(request, BatchRequest).items]
    debits = [KeyedDebit(item.idempotency_key, debit_of(item, actor)) for item in items if isinstance(item, BatchItem)]
    outcomes = iter(
        append_each(
            deps.table,
            account_id,
            debits,
            catalog=deps.catalog(deps.table),
            now=request.now,
            salt=deps.random_bytes(SALT_BYTES),
            crowds=deps.crowds,
        )
    )
    results = [_result(next(outcomes) if isinstance(item, BatchItem) else item) for item in items]
    if refused_count := sum(result["status"] == HTTPStatus.PAYMENT_REQUIRED for result in results):
        count(Metric.SPENDING_REFUSED, refused_count)
    body: BatchResponse = {"results": results}
    return Response(status=200, body=body)


def _item_of(raw: Any) -> BatchItem | InvalidRequest:
    try:
        return part_of(raw, BatchItem, "item")
    except InvalidRequest as invalid:
        return invalid


def _result(outcome: Outcome) -> ConsumedItem | RefusedItem:
    if isinstance(outcome, Refused):
        refused: RefusedItem = problem_response(outcome).body
        return refused
    return {"status": 201, "replayed": outcome.replayed, **consumption_response(outcome.entries[-1])}


BATCH = Route(
    method="POST",
    path="/v1/accounts/{account}/consumptions/batch",
    operation_id="consumeBatch",
    summary="Spend credits for up to 40 items in turn, each with its own key and its own result",
    scopes=("prepaid/consume",),
    parameters=(ACCOUNT,),
    body=BatchRequest,
    responses={200: ResponseSchema(BatchResponse)},
    refusals={400: ("malformed_body",), **NO_ACCOUNT, **BODY_REFUSALS},
    function=consume_each,
)
