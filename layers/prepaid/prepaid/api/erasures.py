"""POST /v1/accounts/{account}/erasures: removing the texts of the entries that name a customer (rule 22)."""

from typing import TypedDict

from prepaid.api.http.bodies import Body, Text, body_of
from prepaid.api.http.requests import Request, account_of, caller_of, idempotency_key_of
from prepaid.api.http.responses import Response, created
from prepaid.api.http.routes import (
    ACCOUNT,
    BODY_REFUSALS,
    KEY,
    KEY_REFUSALS,
    NO_ACCOUNT,
    REPLAYED,
    ResponseSchema,
    Route,
)
from prepaid.api.http.times import Time
from prepaid.core.calendar import rfc3339
from prepaid.core.entry import Entry
from prepaid.core.ids import erasure_id
from prepaid.deps import Deps
from prepaid.use_cases.erasing import erase_customer

# The deadline of one request. A long ledger takes several: a retry continues where the deadline ended the walk.
WALK_SECONDS = 20.0


class ErasureRequest(Body):
    """customer: exactly as the consumptions name them."""

    customer: Text


class ErasureResponse(TypedDict):
    """A finished erasure. entry: the erasure's own entry. entries: how many entries named the customer; they have no
    texts any more."""

    id: str
    entry: int
    entries: int
    created_at: Time


def erase(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/erasures: 201 once the texts of every entry that names the customer are removed."""
    account_id, key = account_of(request), idempotency_key_of(request)
    body = body_of(request, ErasureRequest)
    erased = erase_customer(
        deps.table,
        account_id,
        body.customer,
        actor=caller_of(request).name,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
        secrets=deps.cursor_secrets(deps.table.deadline),
    )
    return created(erasure_response(erased.entries[-1]), replayed=erased.replayed)


def erasure_response(entry: Entry) -> ErasureResponse:
    """The response to an erasure, from its entry alone, so that a replay returns the same."""
    assert entry.quantity is not None
    return {
        "id": erasure_id(entry.number),
        "entry": entry.number,
        "entries": entry.quantity,
        "created_at": rfc3339(entry.at),
    }


ERASE = Route(
    method="POST",
    path="/v1/accounts/{account}/erasures",
    operation_id="erase",
    summary="Erase the texts of every entry that names a customer. A retry after a 503 continues the erasure",
    scopes=("prepaid/admin",),
    parameters=(ACCOUNT, KEY),
    body=ErasureRequest,
    responses={201: ResponseSchema(ErasureResponse, headers=(REPLAYED,))},
    refusals={
        400: (*KEY_REFUSALS, "malformed_body"),
        **NO_ACCOUNT,
        409: ("idempotency_key_reused",),
        **BODY_REFUSALS,
        422: ("invalid_request",),
    },
    function=erase,
)
