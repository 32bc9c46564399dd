"""The requests of the API: one function for each operation of openapi.json, named as its `operationId` in snake case.

A function returns the request, and how to read its answer. client.py sends it, sync or async.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypedDict, Unpack
from urllib.parse import quote as percent_encoded

import msgspec

from prepaid_client import responses
from prepaid_client.errors import refusal
from prepaid_client.responses_about_buying import (
    Catalog,
    ListedPurchasesPage,
    ManagerSession,
    Packs,
    PortalSession,
    Purchase,
    PurchasesPage,
)

# The longest wait for one answer. Requests that wait for Stripe or read a long history have LONG_ATTEMPT_SECONDS.
ATTEMPT_SECONDS = 10.0
# The longest time that API Gateway waits for a function.
LONG_ATTEMPT_SECONDS = 30.0
CREATED = 201
KEY = re.compile(r"[!-~]{1,255}")

type Time = datetime | date | str
type Parse[T] = Callable[[bytes], T]


@dataclass(frozen=True, kw_only=True)
class Call[T]:
    """A request. path: with its parameters in place. shape: of the answer.

    repeatable: whether it may be sent again after a lost answer. attempt_seconds: the longest wait for one answer.
    cursor_name: the name of the query parameter with the cursor.
    """

    method: str
    path: str
    shape: type[T]
    parse: Parse[T]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    repeatable: bool = True
    attempt_seconds: float = ATTEMPT_SECONDS
    cursor_name: str = "cursor"

    @property
    def key(self) -> str | None:
        """The idempotency key, if the request has one."""
        return self.headers.get("Idempotency-Key")

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method != "GET"

    def at(self, cursor: str) -> "Call[T]":
        """The same request for the page at `cursor`."""
        return replace(self, query={**self.query, self.cursor_name: cursor})


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """One consumption of a batch. idempotency_key: of this item alone."""

    idempotency_key: str
    feature: str
    quantity: int = 1
    description: str | None = None
    customer: str | None = None
    reference: str | None = None


class Texts(TypedDict, total=False):
    """Texts of a charge, which the history shows permanently. Send opaque ids, not names."""

    customer: str | None
    reference: str | None
    description: str | None


class HistoryFilters(TypedDict, total=False):
    """Which entries, and where to begin. from_ is inclusive, to exclusive: civil days of the account, or times."""

    type: str
    feature: str
    source: str
    customer: str
    reference: str
    from_: Time
    to: Time
    limit: int
    cursor: str


class OptionalTerms(TypedDict, total=False):
    """Terms of an account that have a default."""

    ai_enabled: bool
    quota_anchor_day: int
    time_zone: str
    language: str
    low_credit_threshold: int
    manager_contact: str | None
    currency: str
    status: str


class AccountChanges(OptionalTerms, total=False):
    """Terms to change."""

    name: str
    plan: str


class NewTerms(OptionalTerms):
    """All terms. A new account gets the service's defaults for those that are left out."""

    name: str
    plan: str


def consume(
    account: str, feature: str, quantity: int = 1, *, key: str, **texts: Unpack[Texts]
) -> Call[responses.Consumption]:
    """Charge once for `key`, all or nothing. Raises InsufficientCredits, AccountNotActive, FeatureRetired."""
    return _post(
        f"{_account(account)}/consumptions",
        responses.Consumption,
        key=key,
        body={"feature": feature, "quantity": quantity, **texts},
    )


def find_consumption(account: str, key: str) -> Call[responses.Consumption]:
    """The consumption of a key, without charging. Raises NotFound if none has taken effect."""
    return _get(f"{_account(account)}/consumptions", responses.Consumption, query={"idempotency_key": key})


def get_consumption(account: str, consumption: str) -> Call[responses.Consumption]:
    """A consumption. Raises NotFound."""
    return _get(f"{_account(account)}/consumptions/{_part(consumption)}", responses.Consumption)


def consume_batch(account: str, items: Iterable[BatchItem]) -> Call[responses.Batch]:
    """Charge 1 to 40 items one after another. Each result is a Consumption or the Refused of that item alone."""
    body = {"items": [_named(asdict(item)) for item in items]}
    return _changing("POST", f"{_account(account)}/consumptions/batch", responses.Batch, body=body, parse=_batch)


def place_hold(
    account: str, feature: str, quantity: int = 1, *, key: str, ttl_seconds: int = 900, **texts: Unpack[Texts]
) -> Call[responses.PlacedHold]:
    """Reserve units. The hold lapses by itself after `ttl_seconds`. Raises as `consume`, and TooManyHolds."""
    return _post(
        f"{_account(account)}/holds",
        responses.PlacedHold,
        key=key,
        body={"feature": feature, "quantity": quantity, "ttl_seconds": ttl_seconds, **texts},
    )


def capture_hold(account: str, hold: str, quantity: int | None = None, *, key: str) -> Call[responses.Capture]:
    """Spend units of a hold, all by default; the rest comes back. Raises AlreadyCaptured, HoldReleased, HoldLapsed."""
    path = f"{_account(account)}/holds/{_part(hold)}/capture"
    return _post(path, responses.Capture, key=key, body={"quantity": quantity})


def release_hold(account: str, hold: str, *, key: str) -> Call[responses.Release]:
    """Give back all of a hold. Raises AlreadyCaptured, HoldReleased, HoldLapsed."""
    return _post(f"{_account(account)}/holds/{_part(hold)}/release", responses.Release, key=key)


def get_hold(account: str, hold: str) -> Call[responses.HoldState]:
    """A hold and its current state. Raises NotFound."""
    return _get(f"{_account(account)}/holds/{_part(hold)}", responses.HoldState)


def reverse_charge(
    account: str, charge: str, quantity: int | None = None, *, reason: str, key: str
) -> Call[responses.Reversal]:
    """Return units of a charge, all that are left by default. charge: the id of a consumption or a capture.

    Raises AlreadyReversed, NotFound.
    """
    path = f"{_account(account)}/consumptions/{_part(charge)}/reversals"
    return _post(path, responses.Reversal, key=key, body={"quantity": quantity, "reason": reason})


def get_balance(account: str, *, at: Time | None = None) -> Call[responses.Balance]:
    """The account's balance, now or at an earlier time. It is for display: don't check it before a charge."""
    return _get(f"{_account(account)}/balance", responses.Balance, query={"at": at})


def quote(account: str, feature: str, quantity: int = 1) -> Call[responses.Quote]:
    """What a consumption would draw, or what is missing. It reserves nothing."""
    body = {"feature": feature, "quantity": quantity}
    return _changing("POST", f"{_account(account)}/quotes", responses.Quote, body=body)


def get_history(account: str, **filters: Unpack[HistoryFilters]) -> Call[responses.HistoryPage]:
    """A page of entries, newest first. `history` iterates over all pages."""
    return _get(f"{_account(account)}/history", responses.HistoryPage, query=_filters(filters))


def get_history_csv(account: str, **filters: Unpack[HistoryFilters]) -> Call[str]:
    """The history as one CSV file."""
    return _csv(f"{_account(account)}/history", _filters(filters))


def get_statement(account: str, month: str) -> Call[responses.Statement]:
    """The statement of a month (2026-11)."""
    return replace(
        _get(f"{_account(account)}/statements/{_part(month)}", responses.Statement),
        attempt_seconds=LONG_ATTEMPT_SECONDS,
    )


def get_statement_csv(account: str, month: str) -> Call[str]:
    """The statement of a month as a CSV file."""
    return _csv(f"{_account(account)}/statements/{_part(month)}", {})


def get_usage(
    account: str, *, from_: Time | None = None, to: Time | None = None, by: str = "month"
) -> Call[responses.Usage]:
    """The use by feature and source. by: day or month."""
    query = {"from": from_, "to": to, "by": by}
    return replace(
        _get(f"{_account(account)}/usage", responses.Usage, query=query), attempt_seconds=LONG_ATTEMPT_SECONDS
    )


def list_events_of_account(
    account: str, *, after: int | None = None, limit: int | None = None
) -> Call[responses.EventsPage]:
    """A page of the events of the entries after entry `after`, from the ledger. `events` iterates over all pages."""
    call = _get(f"{_account(account)}/events", responses.EventsPage, query={"after": after, "limit": limit})
    return replace(call, cursor_name="after")


def list_events(*, after: str | None = None, limit: int | None = None) -> Call[responses.EventsFeed]:
    """A page of the events of all accounts in the last 30 days, after the `next` of an earlier page.

    `events` iterates over all pages, up to half a minute ago.
    """
    return replace(
        _get("/v1/events", responses.EventsFeed, query={"after": after, "limit": limit}), cursor_name="after"
    )


def put_account(account: str, **terms: Unpack[NewTerms]) -> Call[responses.AccountTerms]:
    """Open an account, or replace all terms of an existing one."""
    return _changing("PUT", _account(account), responses.AccountTerms, body=terms)


def patch_account(account: str, **changes: Unpack[AccountChanges]) -> Call[responses.AccountTerms]:
    """Change the named terms and nothing else."""
    return _changing("PATCH", _account(account), responses.AccountTerms, body=changes)


def get_account(account: str) -> Call[responses.AccountTerms]:
    """The account's terms."""
    return _get(_account(account), responses.AccountTerms)


def list_accounts(*, limit: int | None = None, cursor: str | None = None) -> Call[responses.AccountsPage]:
    """A page of all accounts. `accounts` iterates over all pages."""
    return _get("/v1/accounts", responses.AccountsPage, query={"limit": limit, "cursor": cursor})


def grant_credits(
    account: str,
    credits: int,
    *,
    kind: str = "promotion",
    reason: str,
    key: str,
    expires_at: Time | None = None,
    valid_months: int | None = None,
) -> Call[responses.Grant]:
    """Grant credits, once for `key`. kind: promotion or adjustment. Raises TooManyLots."""
    body = {
        "credits": credits,
        "kind": kind,
        "reason": reason,
        "expires_at": None if expires_at is None else _text(expires_at),
        "valid_months": valid_months,
    }
    return _post(f"{_account(account)}/grants", responses.Grant, key=key, body=body)


def void_grant(account: str, grant: str, credits: int | None = None, *, reason: str, key: str) -> Call[responses.Void]:
    """Take back what remains of a grant. Raises ExceedsRemaining, PurchaseNotVoidable, NotFound."""
    path = f"{_account(account)}/grants/{_part(grant)}/voids"
    return _post(path, responses.Void, key=key, body={"credits": credits, "reason": reason})


def erase(account: str, customer: str, *, key: str) -> Call[responses.Erasure]:
    """Remove the texts that name a customer from the history."""
    call = _post(f"{_account(account)}/erasures", responses.Erasure, key=key, body={"customer": customer})
    return replace(call, attempt_seconds=LONG_ATTEMPT_SECONDS)


def list_packs() -> Call[Packs]:
    """The packs on sale."""
    return _get("/v1/packs", Packs)


def get_catalog() -> Call[Catalog]:
    """Features, plans and packs."""
    return _get("/v1/catalog", Catalog)


def put_catalog(catalog: Catalog, *, allow_cheaper_small_packs: bool = False) -> Call[Catalog]:
    """Replace the catalog in force, whose version must be `catalog.version`. Raises VersionConflict."""
    body = {
        "features": catalog.features,
        "plans": catalog.plans,
        "packs": catalog.packs,
        "allow_cheaper_small_packs": allow_cheaper_small_packs,
    }
    call = _changing("PUT", "/v1/catalog", Catalog, body=body)
    return replace(call, headers={**call.headers, "If-Match": f'"{catalog.version}"'})


def put_manager_code(account: str, code: str, *, current_code: str | None = None) -> Call[None]:
    """Set the manager's code: as an administrator, or with the current code. Raises WrongCode, CodeLocked.

    With `current_code` it isn't repeated after a lost answer, because the first attempt may have changed the code.
    """
    body = {"code": code, "current_code": current_code}
    call = _changing("PUT", f"{_account(account)}/manager-code", type(None), body=body, parse=lambda _: None)
    return replace(call, repeatable=current_code is None)


def open_manager_session(account: str, code: str, *, key: str) -> Call[ManagerSession]:
    """A session that approves one purchase. Raises WrongCode, CodeLocked, AccountNotActive."""
    return _post(f"{_account(account)}/manager-sessions", ManagerSession, key=key, body={"code": code})


def buy_pack(account: str, pack: str, *, manager_session: str, key: str) -> Call[Purchase]:
    """Buy a pack, once for `key`. Send the customer to `checkout_url`. Raises ManagerSessionInvalid."""
    call = _post(f"{_account(account)}/purchases", Purchase, key=key, body={"pack": pack})
    headers = {**call.headers, "Manager-Session": manager_session}
    return replace(call, headers=headers, attempt_seconds=LONG_ATTEMPT_SECONDS)


def get_purchase(account: str, purchase: str) -> Call[Purchase]:
    """A purchase. Raises NotFound."""
    return _get(f"{_account(account)}/purchases/{_part(purchase)}", Purchase)


def cancel_purchase(account: str, purchase: str, *, key: str) -> Call[Purchase]:
    """Cancel an open purchase and close its page. Raises PurchaseNotCancellable, NotFound."""
    call = _post(f"{_account(account)}/purchases/{_part(purchase)}/cancel", Purchase, key=key)
    return replace(call, attempt_seconds=LONG_ATTEMPT_SECONDS)


def list_purchases(account: str, *, state: str | None = None, cursor: str | None = None) -> Call[PurchasesPage]:
    """A page of the account's purchases. `purchases` iterates over all pages."""
    return _get(f"{_account(account)}/purchases", PurchasesPage, query={"state": state, "cursor": cursor})


def list_purchases_by_state(state: str, *, cursor: str | None = None) -> Call[ListedPurchasesPage]:
    """A page of all accounts' purchases in a state. `purchases` iterates over all pages."""
    return _get("/v1/purchases", ListedPurchasesPage, query={"state": state, "cursor": cursor})


def create_portal_session(
    account: str, *, key: str, return_url: str | None = None, language: str | None = None
) -> Call[PortalSession]:
    """A link to the subscription page, for one visit within ten minutes."""
    body = {"return_url": return_url, "language": language}
    return _post(f"{_account(account)}/portal-sessions", PortalSession, key=key, body=body)


def _get[T](path: str, shape: type[T], *, query: Mapping[str, Any] | None = None) -> Call[T]:
    present = {name: _text(value) for name, value in _named(query or {}).items()}
    return Call(method="GET", path=path, shape=shape, parse=_json(shape), query=present)


def _csv(path: str, query: Mapping[str, Any]) -> Call[str]:
    call = _get(path, str, query=query)
    headers = {"Accept": "text/csv"}
    return replace(call, parse=bytes.decode, headers=headers, attempt_seconds=LONG_ATTEMPT_SECONDS)


def _post[T: responses.Keyed](path: str, shape: type[T], *, key: str, body: Mapping[str, Any] | None = None) -> Call[T]:
    """A request with an idempotency key. Raises ValueError for a key that HTTP can't carry."""
    if not KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no idempotency key: 1 to 255 visible ASCII characters")
    call = _changing("POST", path, shape, body=None if body is None else _named(body))
    return replace(call, headers={**call.headers, "Idempotency-Key": key})


def _changing[T](
    method: str, path: str, shape: type[T], *, body: Mapping[str, Any] | None, parse: Parse[T] | None = None
) -> Call[T]:
    content = None if body is None else msgspec.json.encode(body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    return Call(method=method, path=path, shape=shape, parse=parse or _json(shape), headers=headers, content=content)


def _json[T](shape: type[T]) -> Parse[T]:
    return lambda content: msgspec.json.decode(content, type=shape)


def _batch(content: bytes) -> responses.Batch:
    results: Sequence[dict[str, Any]] = msgspec.json.decode(content)["results"]
    return responses.Batch(
        results=tuple(
            msgspec.convert(result, responses.Consumption)
            if result["status"] == CREATED
            else refusal(result["status"], result)
            for result in results
        )
    )


def _filters(filters: HistoryFilters) -> dict[str, Any]:
    return {"from" if name == "from_" else name: value for name, value in filters.items()}


def _named(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _text(value: object) -> str:
    """A parameter as text. A time without a zone raises ValueError: it could mean two instants."""
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"the time {value} has no time zone")
    return value.isoformat() if isinstance(value, date) else str(value)


def _account(account: str) -> str:
    return f"/v1/accounts/{_part(account)}"


def _part(value: str) -> str:
    """A segment of a path. Raises ValueError for one that would change the path."""
    if value in {"", ".", ".."}:
        raise ValueError(f"{value!r} is no id")
    return percent_encoded(value, safe="")
