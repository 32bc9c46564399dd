"""Giving credits: promotions and adjustments, by an administrator, with a reason (rule 19)."""

from datetime import datetime

from prepaid.api.answers import grant_answer
from prepaid.api.http import Request, Response, account_of, body_of, caller_of, created, idempotency_key_of
from prepaid.api.requests import GrantRequest
from prepaid.api.times import floor_to_millisecond
from prepaid.core.ledger import Grant
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import append


def grant(request: Request, table: Table, catalog: CatalogCache) -> Response:
    """POST /v1/accounts/{account}/grants: add a lot, once for the key."""
    account_id, key = account_of(request), idempotency_key_of(request)
    asked = body_of(request, GrantRequest)
    validity = asked.validity()
    operation = Grant(
        actor=caller_of(request).name,
        kind=asked.kind,
        credits=asked.credits,
        validity=floor_to_millisecond(validity) if isinstance(validity, datetime) else validity,
        description=asked.reason,
    )
    appended = append(
        table,
        account_id,
        operation,
        catalog=catalog(request.patience),
        now=request.now,
        patience=request.patience,
        idempotency_key=key,
    )
    return created(grant_answer(appended.entries[-1]), replayed=appended.replayed)
