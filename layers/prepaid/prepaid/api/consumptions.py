"""Spending."""

from prepaid.api.answers import consumption_answer
from prepaid.api.http import Request, Response, account_of, body_of, caller_of, created, idempotency_key_of
from prepaid.api.requests import ConsumptionRequest
from prepaid.core.ledger import Debit
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import append


def consume(request: Request, table: Table, catalog: CatalogCache) -> Response:
    """POST /v1/accounts/{account}/consumptions: spend, all or nothing, once for the key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    asked = body_of(request, ConsumptionRequest)
    debit = Debit(
        actor=caller_of(request).name,
        feature=asked.feature,
        quantity=asked.quantity,
        description=asked.description,
        customer=asked.customer,
        reference=asked.reference,
    )
    appended = append(
        table,
        account_id,
        debit,
        catalog=catalog(request.patience),
        now=request.now,
        patience=request.patience,
        idempotency_key=key,
    )
    return created(consumption_answer(appended.entries[-1]), replayed=appended.replayed)
