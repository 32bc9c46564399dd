"""Giving credits: promotions and adjustments, by an administrator, with a reason (rule 19)."""

from datetime import datetime

from prepaid.api.answers import grant_answer
from prepaid.api.http import Request, Response, account_of, body_of, caller_of, created, idempotency_key_of
from prepaid.api.requests import GrantRequest
from prepaid.core.calendar import floor_to_millisecond
from prepaid.core.ledger import Grant
from prepaid.deps import Deps
from prepaid.store.ledger import append


def grant(request: Request, deps: Deps) -> Response:
    """POST /v1/accounts/{account}/grants: add a lot, once per key."""
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
        deps.table,
        account_id,
        operation,
        catalog=deps.catalog(deps.table),
        now=request.now,
        idempotency_key=key,
    )
    return created(grant_answer(appended.entries[-1]), replayed=appended.replayed)
