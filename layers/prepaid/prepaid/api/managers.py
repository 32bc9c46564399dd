"""The manager's code and the sessions it opens (rule 10)."""

from collections.abc import Callable

from prepaid.api.http import Request, Response, account_of, body_of, caller_of, created, idempotency_key_of
from prepaid.api.problems import Forbidden
from prepaid.api.requests import ManagerCodeRequest, ManagerSessionRequest
from prepaid.api.times import rfc3339
from prepaid.core.manager_code import check_new_code
from prepaid.store.accounts import read_account
from prepaid.store.dynamodb import Table
from prepaid.store.managers import change_code, open_session

ADMIN_SCOPE = "prepaid/admin"


def put_code(request: Request, table: Table, pepper: Callable[[], str]) -> Response:
    """PUT /v1/accounts/{account}/manager-code: an administrator sets it, others change it with the current one.

    An administrator's repeat is answered as the first one was; others are told that the new code must differ.
    """
    account_id = account_of(request)
    asked = body_of(request, ManagerCodeRequest)
    if asked.current_code is None and ADMIN_SCOPE not in caller_of(request).scopes:
        raise Forbidden("Send current_code, or ask an administrator to set a new one.")
    check_new_code(asked.code)
    read_account(table, account_id, request.patience)
    change_code(table, account_id, asked.code, asked.current_code, pepper(), now=request.now, patience=request.patience)
    return Response(status=204)


def post_session(request: Request, table: Table, pepper: Callable[[], str]) -> Response:
    """POST /v1/accounts/{account}/manager-sessions: ten minutes for one purchase, once for the key and the code."""
    account_id, key = account_of(request), idempotency_key_of(request)
    asked = body_of(request, ManagerSessionRequest)
    read_account(table, account_id, request.patience)
    opened = open_session(table, account_id, asked.code, key, pepper(), now=request.now, patience=request.patience)
    body = {"manager_session": opened.token, "expires_at": rfc3339(opened.session.expires_at)}
    return created(body, replayed=opened.replayed)
