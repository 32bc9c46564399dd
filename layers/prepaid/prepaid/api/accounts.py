"""/v1/accounts: opening, changing, showing and listing accounts."""

from typing import Annotated, Any, NotRequired, TypedDict

from pydantic import AfterValidator, Field, StringConstraints

from prepaid.api.http.bodies import MAX_CREDITS, Body, Currency, Slug, Text, body_of
from prepaid.api.http.cursors import read_cursor, sign_cursor
from prepaid.api.http.requests import (
    ACCOUNT_ID,
    Request,
    account_of,
    caller_for_every_account,
    caller_of,
    check_query,
    limit_of,
)
from prepaid.api.http.responses import Response
from prepaid.api.http.routes import ACCOUNT, BODY_REFUSALS, NO_ACCOUNT, Parameter, ResponseSchema, Route
from prepaid.api.http.times import Time
from prepaid.core.account import DEFAULT_LOW_CREDIT_THRESHOLD, Status, Terms
from prepaid.core.calendar import is_zone, rfc3339
from prepaid.core.currencies import CURRENCIES
from prepaid.core.errors import AccountNotFound, InvalidRequest
from prepaid.core.languages import Language
from prepaid.deps import Deps
from prepaid.store.accounts import Profile, read_account
from prepaid.store.manager_codes import read_code
from prepaid.use_cases.administering import patch_account, put_account
from prepaid.use_cases.listing import ListedAccount, list_accounts

LISTING = "accounts"
DEFAULT_LIMIT, MAX_LIMIT = 50, 100

# A default that openapi.json doesn't show: a field that is left out keeps its value.
KEPT: Any = Field(default_factory=lambda: None)
# A PUT that leaves these out keeps them. A platform that puts every account each night may know neither, and must not
# reopen an account that support has frozen.
KEPT_BY_PUT = ("currency", "status")


def _check_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("must be an IANA time zone, such as America/Sao_Paulo")
    return name


type Zone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_zone)]


def _check_currency(currency: str) -> str:
    if currency not in CURRENCIES:
        raise ValueError("is not supported by Stripe")
    return currency


type KnownCurrency = Annotated[Currency, AfterValidator(_check_currency)]


class AccountRequest(Body):
    """The account's terms and profile. A field that is left out gets its default when the account is opened; an
    existing account is changed only by a request that names every field.

    currency: of the packs that the account buys; default: that of the first pack on sale. status: default: active.
    An existing account keeps its currency and its status if they are left out.
    """

    name: Text
    plan: Slug
    ai_enabled: bool = False
    quota_anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    time_zone: Zone = "America/Sao_Paulo"
    language: Language = "pt-BR"
    low_credit_threshold: Annotated[int, Field(ge=0, le=MAX_CREDITS)] = DEFAULT_LOW_CREDIT_THRESHOLD
    manager_contact: Text | None = None
    currency: KnownCurrency = KEPT
    status: Status = KEPT


class AccountPatch(Body):
    """The fields of the account to change. A field that is left out keeps its value."""

    name: Text = KEPT
    plan: Slug = KEPT
    ai_enabled: bool = KEPT
    quota_anchor_day: Annotated[int, Field(ge=1, le=31)] = KEPT
    time_zone: Zone = KEPT
    language: Language = KEPT
    low_credit_threshold: Annotated[int, Field(ge=0, le=MAX_CREDITS)] = KEPT
    manager_contact: Text | None = KEPT
    currency: KnownCurrency = KEPT
    status: Status = KEPT


class AccountResponse(TypedDict):
    """An account's terms and profile. status: a frozen or closed account neither spends, holds nor buys.

    manager_code_set: only for GET by an administrator."""

    account: str
    name: str
    plan: str
    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str
    language: str
    low_credit_threshold: int
    manager_contact: str | None
    currency: str | None
    status: Status
    manager_code_set: NotRequired[bool]


class ListedAccountResponse(TypedDict):
    """An account in the list. available, held, owed: credits now. last_entry_at: the time of its newest entry."""

    account: str
    name: str
    plan: str
    status: Status
    available: int
    held: int
    owed: int
    last_entry_at: Time


class AccountsResponse(TypedDict):
    """A page of all accounts, by id. next_cursor: null on the last page."""

    accounts: list[ListedAccountResponse]
    next_cursor: str | None


def put(request: Request, deps: Deps) -> Response:
    """PUT /v1/accounts/{account}: open the account, or replace all its fields. 201 when opened, else 200."""
    account_id = _account_to_put(request)
    body = body_of(request, AccountRequest)
    terms = Terms(
        plan=body.plan,
        ai_enabled=body.ai_enabled,
        quota_anchor_day=body.quota_anchor_day,
        time_zone=body.time_zone,
        currency=body.currency,
        low_credit_threshold=body.low_credit_threshold,
        status=body.status if "status" in body.model_fields_set else "active",
    )
    profile = Profile(
        name=body.name,
        language=body.language,
        manager_contact=body.manager_contact,
    )
    opened, terms = put_account(
        deps.table,
        account_id,
        terms,
        profile,
        left_out=[name for name in AccountRequest.model_fields if name not in {*body.model_fields_set, *KEPT_BY_PUT}],
        keep=[name for name in KEPT_BY_PUT if name not in body.model_fields_set],
        actor=caller_of(request).name,
        catalog=deps.catalog(deps.table),
        now=request.now,
    )
    return Response(status=201 if opened else 200, body=account_response(account_id, terms, profile))


def patch(request: Request, deps: Deps) -> Response:
    """PATCH /v1/accounts/{account}: change the fields that the body names."""
    account_id = account_of(request)
    body = body_of(request, AccountPatch)
    terms, profile = patch_account(
        deps.table,
        account_id,
        body.model_dump(exclude_unset=True),
        actor=caller_of(request).name,
        catalog=deps.catalog(deps.table),
        now=request.now,
    )
    return Response(status=200, body=account_response(account_id, terms, profile))


def show(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts/{account}: the account's terms and profile; for an administrator also whether a code is set."""
    account_id = account_of(request)
    terms, profile = read_account(deps.table, account_id)
    body = account_response(account_id, terms, profile)
    if "prepaid/admin" in caller_of(request).scopes:
        body["manager_code_set"] = bool(read_code(deps.table, account_id).digest)
    return Response(status=200, body=body)


def show_all(request: Request, deps: Deps) -> Response:
    """GET /v1/accounts: every account by id, page by page."""
    caller_for_every_account(request)
    check_query(request, frozenset({"limit", "cursor"}))
    limit, after = limit_of(request, MAX_LIMIT) or DEFAULT_LIMIT, ""
    if "cursor" in request.query:
        after = read_cursor(request.query["cursor"], LISTING, "", {}, deps.cursor_secrets(deps.table.deadline))
    page, more = list_accounts(deps.table, after=after, limit=limit, catalog=deps.catalog(deps.table), now=request.now)
    body: AccountsResponse = {
        "accounts": [_listed_response(listed) for listed in page],
        "next_cursor": sign_cursor(page[-1].account.id, LISTING, "", {}, deps.cursor_secrets(deps.table.deadline))
        if more
        else None,
    }
    return Response(status=200, body=body)


def _listed_response(listed: ListedAccount) -> ListedAccountResponse:
    account = listed.account
    return {
        "account": account.id,
        "name": listed.profile.name,
        "plan": account.terms.plan,
        "status": account.terms.status,
        "available": account.available,
        "held": account.held,
        "owed": account.owed,
        "last_entry_at": rfc3339(listed.last_entry_at),
    }


def _account_to_put(request: Request) -> str:
    """Like account_of, but an id that no account can have is an invalid request, not a missing account."""
    account_id = request.path.get("account", "")
    if caller_of(request).account not in {None, account_id}:
        raise AccountNotFound
    if not ACCOUNT_ID.fullmatch(account_id):
        raise InvalidRequest((("account", "must be 1 to 64 letters, digits, '.', '_' or '-'"),))
    return account_id


def account_response(account_id: str, terms: Terms, profile: Profile) -> AccountResponse:
    """The response body of a GET, PUT or PATCH of the account."""
    return {
        "account": account_id,
        "name": profile.name,
        "plan": terms.plan,
        "ai_enabled": terms.ai_enabled,
        "quota_anchor_day": terms.quota_anchor_day,
        "time_zone": terms.time_zone,
        "language": profile.language,
        "low_credit_threshold": terms.low_credit_threshold,
        "manager_contact": profile.manager_contact,
        "currency": terms.currency,
        "status": terms.status,
    }


PUT = Route(
    method="PUT",
    path="/v1/accounts/{account}",
    operation_id="putAccount",
    summary="Open an account, or replace all its fields",
    scopes=("prepaid/admin",),
    parameters=(ACCOUNT,),
    body=AccountRequest,
    responses={200: ResponseSchema(AccountResponse), 201: ResponseSchema(AccountResponse)},
    refusals={400: ("malformed_body",), **NO_ACCOUNT, **BODY_REFUSALS},
    function=put,
)
PATCH = Route(
    method="PATCH",
    path="/v1/accounts/{account}",
    operation_id="patchAccount",
    summary="Change the fields of an account that the request names",
    scopes=("prepaid/admin",),
    parameters=(ACCOUNT,),
    body=AccountPatch,
    responses={200: ResponseSchema(AccountResponse)},
    refusals={400: ("malformed_body",), **NO_ACCOUNT, **BODY_REFUSALS},
    function=patch,
)
SHOW = Route(
    method="GET",
    path="/v1/accounts/{account}",
    operation_id="getAccount",
    summary="An account's terms and profile",
    scopes=("prepaid/read",),
    parameters=(ACCOUNT,),
    responses={200: ResponseSchema(AccountResponse)},
    refusals=NO_ACCOUNT,
    function=show,
)
SHOW_ALL = Route(
    method="GET",
    path="/v1/accounts",
    operation_id="listAccounts",
    summary="All accounts with plan and balance, by id",
    scopes=("prepaid/admin",),
    parameters=(
        Parameter(
            name="limit",
            description=f"The most accounts on a page; default: {DEFAULT_LIMIT}.",
            schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        ),
        Parameter(name="cursor", description="`next_cursor` of the previous page; default: the first page."),
    ),
    responses={200: ResponseSchema(AccountsResponse)},
    refusals={400: ("invalid_cursor",), 403: ("forbidden",), 422: ("invalid_request",)},
    function=show_all,
)
