"""Opening, changing and showing accounts."""

from prepaid.api.answers import account_answer
from prepaid.api.http import ACCOUNT_ID, Request, Response, account_of, body_of, caller_of
from prepaid.api.requests import AccountRequest
from prepaid.core.account import Terms
from prepaid.core.calendar import is_zone
from prepaid.core.errors import AccountNotFound, InvalidRequest
from prepaid.store.accounts import Profile, put_account, read_account
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Table


def put(request: Request, table: Table, catalog: CatalogCache) -> Response:
    """PUT /v1/accounts/{account}: open it, or make it be so from now on. 201 when opened, else 200."""
    account_id = _account_to_put(request)
    asked = body_of(request, AccountRequest)
    if not is_zone(asked.time_zone):
        raise InvalidRequest((("time_zone", "must be an IANA time zone, as America/Sao_Paulo"),))
    terms = Terms(
        plan=asked.plan,
        ai_enabled=asked.ai_enabled,
        quota_anchor_day=asked.quota_anchor_day,
        time_zone=asked.time_zone,
    )
    profile = Profile(
        name=asked.name,
        language=asked.language,
        low_credit_threshold=asked.low_credit_threshold,
        manager_contact=asked.manager_contact,
    )
    opened = put_account(
        table,
        account_id,
        terms,
        profile,
        actor=caller_of(request).name,
        catalog=catalog(request.patience),
        now=request.now,
        patience=request.patience,
    )
    return Response(status=201 if opened else 200, body=account_answer(account_id, terms, profile))


def show(request: Request, table: Table) -> Response:
    """GET /v1/accounts/{account}: its terms and profile."""
    account_id = account_of(request)
    terms, profile = read_account(table, account_id, request.patience)
    return Response(status=200, body=account_answer(account_id, terms, profile))


def _account_to_put(request: Request) -> str:
    """Like account_of, but an id that no account can have is a mistake to name, not a missing account."""
    account_id = request.path.get("account", "")
    if caller_of(request).account not in {None, account_id}:
        raise AccountNotFound
    if not ACCOUNT_ID.fullmatch(account_id):
        raise InvalidRequest((("account", "must be 1 to 64 letters, digits, '.', '_' or '-'"),))
    return account_id
