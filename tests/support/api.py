"""A client of the service, in this process (in_process.py) or over HTTP (over_http.py)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from prepaid.api import (
    accounts,
    balances,
    batches,
    catalogs,
    consumptions,
    erasures,
    events,
    grants,
    histories,
    holds,
    manager_codes,
    openapi,
    portal_sessions,
    purchases,
    quotes,
    reversals,
    statements,
    usages,
    webhooks,
)
from prepaid.api.http.routes import KEY
from tests.support.contract import check_answer, check_headers, scope_of
from tests.support.gateway_events import ADMIN, ANYBODY, BUYER, Claims, compact

CONSUME = consumptions.CONSUME.key
BATCH = batches.BATCH.key
CONSUMPTION = consumptions.SHOW.key
FIND_CONSUMPTION = consumptions.FIND.key
PLACE_HOLD = holds.PLACE.key
HOLD = holds.SHOW.key
CAPTURE = holds.CAPTURE.key
RELEASE = holds.RELEASE.key
REVERSE = reversals.REVERSE.key
QUOTE = quotes.QUOTE.key
BALANCE = balances.SHOW.key
HISTORY = histories.SHOW.key
STATEMENT = statements.SHOW.key
USAGE = usages.SHOW.key
EVENTS = events.LIST.key
FEED = events.FEED.key
PUT_ACCOUNT = accounts.PUT.key
PATCH_ACCOUNT = accounts.PATCH.key
GET_ACCOUNT = accounts.SHOW.key
ACCOUNTS = accounts.SHOW_ALL.key
GRANT = grants.GRANT.key
VOID = grants.VOID.key
ERASE = erasures.ERASE.key
PACKS = catalogs.SHOW_PACKS.key
GET_CATALOG = catalogs.SHOW_CATALOG.key
PUT_CATALOG = catalogs.PUT_CATALOG.key
MANAGER_CODE = manager_codes.PUT_CODE.key
MANAGER_SESSION = manager_codes.POST_SESSION.key
PORTAL_SESSION = portal_sessions.POST.key
BUY = purchases.BUY.key
CANCEL = purchases.CANCEL.key
PURCHASES = purchases.SHOW_ALL.key
PURCHASE = purchases.SHOW.key
PURCHASES_BY_STATE = purchases.SHOW_BY_STATE.key
WEBHOOK = webhooks.RECEIVE.key
# Of every route and page. Any other keyword is a mistake, which would send nothing.
PATH_PARAMETERS = {"account", "id", "month", "name", "token"}
NEEDS_KEY = {route.key for route in openapi.ROUTES if KEY in route.parameters}

# The clients that each stack has, with the claims of their tokens.
CLIENTS = {"service": ANYBODY, "storefront": BUYER, "admin": ADMIN}
# The client that calls the routes of a scope.
HOLDER = {
    "prepaid/consume": "service",
    "prepaid/read": "service",
    "prepaid/buy": "storefront",
    "prepaid/admin": "admin",
    None: None,
}
# The caller of a request that names none: the holder of the route's scope.
BY_SCOPE = "the holder of the scope"
# The code of every account's manager, unless a test sets another.
CODE = "274913"
PRIVATE_HEADERS = ("authorization", "stripe-signature", "manager-session")
# A shorter body holds nothing private, and could be part of a log line by chance.
SHORT = 12

# A client by its name; the claims of a token (in process only) or a token as it is (over HTTP only); None for nobody.
type Caller = Claims | str | None


@dataclass(frozen=True, kw_only=True)
class Request:
    """headers: names in any case. path: the values of the route's path parameters."""

    route: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    by: Caller
    body: str | bytes | None


@dataclass(frozen=True)
class Answer:
    """headers: names in lower case. body: parsed when it is JSON. text: the unparsed body."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str

    @property
    def code(self) -> str:
        """Of a problem."""
        return str(self.body["code"])

    @property
    def fields(self) -> list[str]:
        """The fields that an invalid_request names."""
        return [error["field"] for error in self.body["errors"]]

    @property
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replayed") == "true"

    @property
    def text_of_any_request(self) -> str:
        """The text without the id of its request, which no two problems share."""
        request_id = self.body.get("request_id") if isinstance(self.body, dict) else None
        return self.text.replace(request_id, "") if request_id else self.text


@dataclass(kw_only=True)
class Api(ABC):
    """A client of the service. private, codes: what was sent or shown and must not turn up in any log."""

    private: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=lambda: {CODE})

    @abstractmethod
    def ask(self, request: Request) -> Answer:
        """Send one request. Returns the response that `checked` has passed."""

    def new_key(self) -> str:
        """An idempotency key that no other request has."""
        return new_key()

    def __call__(
        self,
        route: str,
        account: str | None = "acme",
        *,
        by: Caller = BY_SCOPE,
        json: Any = None,
        body: str | bytes | None = None,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        may_fail: bool = False,
        **path: str,
    ) -> Answer:
        """One request. path: its parameters besides the account. json: sent as JSON; body: sent as it is. A POST that
        needs a key gets a new one by default. headers: replace those of the same name; "" leaves one out.

        may_fail: whether the test is about 5xx; elsewhere a 5xx fails the test.
        """
        assert path.keys() <= PATH_PARAMETERS, f"no route has {', '.join(path.keys() - PATH_PARAMETERS)}"
        sent = {"content-type": "application/json"} if json is not None or body is not None else {}
        if route in NEEDS_KEY:
            sent["idempotency-key"] = self.new_key() if key is None else key
        replaced = {name.lower() for name in headers or {}}
        sent = {name: value for name, value in sent.items() if name not in replaced} | dict(headers or {})
        request = Request(
            route=route,
            path=({"account": account} if account is not None and "{account}" in route else {}) | path,
            query=query or {},
            headers={name: value for name, value in sent.items() if value != ""},
            by=HOLDER[scope_of(route)] if by == BY_SCOPE else by,
            body=compact(json) if json is not None else body,
        )
        answer = self.ask(request)
        assert may_fail or answer.status < 500, answer
        return answer

    def checked(self, route: str, answer: Answer) -> Answer:
        """The same response; fails when openapi.json doesn't allow it."""
        check_answer(route, answer.status, answer.headers.get("content-type"), answer.body)
        check_headers(route, answer.status, answer.headers)
        if route == MANAGER_SESSION and answer.status == 201:
            self.private.add(answer.body["manager_session"])
        return answer

    def keep_private(self, headers: Mapping[str, str], body: str) -> None:
        """Remember what no log line may hold of a request. headers: names in lower case."""
        texts = [body, *(headers.get(name, "") for name in PRIVATE_HEADERS)]
        self.private.update(text for text in texts if len(text) >= SHORT)

    def open(self, account: str = "acme", *, credits: int = 0, **more: Any) -> str:
        """An account on plan none, with one promotional lot of so many credits. Returns its id."""
        body = {"name": "Pet & Cia", "plan": "none", **more}
        answer = self(PUT_ACCOUNT, account, json=body)
        assert answer.status == 201, answer
        if credits:
            self.give(credits, account)
        return account

    def give(self, credits: int, account: str = "acme", **more: Any) -> Any:
        """A promotional lot."""
        body = {"credits": credits, "kind": "promotion", "reason": "welcome", **more}
        answer = self(GRANT, account, json=body)
        assert answer.status == 201, answer
        return answer.body

    def erase(self, customer: str, account: str = "acme", **more: Any) -> Answer:
        return self(ERASE, account, json={"customer": customer}, **more)

    def void(self, grant: str, account: str = "acme", *, credits: int | None = None, **more: Any) -> Answer:
        """Take back credits of a grant; all that remain by default."""
        body = {"reason": "a mistake"} | ({} if credits is None else {"credits": credits})
        return self(VOID, account, json=body, id=grant, **more)

    def spend(self, quantity: int = 1, feature: str = "sticker", account: str = "acme", **more: Any) -> Answer:
        return self(CONSUME, account, json={"feature": feature, "quantity": quantity}, **more)

    def hold(
        self, quantity: int = 1, feature: str = "sticker", account: str = "acme", *, more: Any = None, **request: Any
    ) -> Answer:
        """more: members of the body, such as ttl_seconds."""
        body = {"feature": feature, "quantity": quantity, **(more or {})}
        return self(PLACE_HOLD, account, json=body, **request)

    def capture(self, hold: str, quantity: int | None = None, account: str = "acme", **more: Any) -> Answer:
        """All of the hold by default."""
        return self(CAPTURE, account, json={} if quantity is None else {"quantity": quantity}, id=hold, **more)

    def release(self, hold: str, account: str = "acme", **more: Any) -> Answer:
        return self(RELEASE, account, id=hold, **more)

    def reverse(self, charge: str, quantity: int | None = None, account: str = "acme", **more: Any) -> Answer:
        """All that is left of the charge by default."""
        body = {"reason": "the job failed"} | ({} if quantity is None else {"quantity": quantity})
        return self(REVERSE, account, json=body, id=charge, **more)

    def batch(self, *items: Any, account: str = "acme", **more: Any) -> Answer:
        """Consumptions in one request. items: (key, quantity), of stickers; or a JSON value as it is."""
        bodies = [
            {"idempotency_key": item[0], "feature": "sticker", "quantity": item[1]} if isinstance(item, tuple) else item
            for item in items
        ]
        return self(BATCH, account, json={"items": bodies}, **more)

    def find(self, key: str, account: str = "acme", **more: Any) -> Answer:
        """The consumption of an idempotency key."""
        return self(FIND_CONSUMPTION, account, query={"idempotency_key": key}, **more)

    def quote(self, quantity: int = 1, feature: str = "sticker", account: str = "acme", **more: Any) -> Answer:
        return self(QUOTE, account, json={"feature": feature, "quantity": quantity}, **more)

    def balance(self, account: str = "acme", **query: str) -> Any:
        answer = self(BALANCE, account, query=query)
        assert answer.status == 200, answer
        return answer.body

    def pages(self, account: str = "acme", **query: str) -> Iterator[list[Any]]:
        """The history page by page, newest first, by following the cursors."""
        while True:
            answer = self(HISTORY, account, query=query)
            assert answer.status == 200, answer
            yield answer.body["entries"]
            if answer.body["next_cursor"] is None:
                return
            query = {**query, "cursor": answer.body["next_cursor"]}

    def history(self, account: str = "acme", **query: str) -> list[Any]:
        """Every entry, newest first."""
        return [entry for page in self.pages(account, **query) for entry in page]

    def set_code(self, code: str = CODE, account: str = "acme", *, current: str | None = None) -> Answer:
        """By an administrator, or with the current code by a buyer."""
        self.codes |= {code} | ({current} if current else set())
        body = {"code": code} | ({"current_code": current} if current is not None else {})
        return self(MANAGER_CODE, account, json=body, by="admin" if current is None else "storefront")

    def try_code(self, code: str = CODE, account: str = "acme", **more: Any) -> Answer:
        self.codes.add(code)
        return self(MANAGER_SESSION, account, json={"code": code}, **more)

    def manager_session(self, account: str = "acme", code: str = CODE) -> str:
        answer = self.try_code(code, account)
        assert answer.status == 201, answer
        return str(answer.body["manager_session"])

    def portal_session(
        self,
        account: str = "acme",
        *,
        language: str | None = None,
        return_url: str | None = None,
        key: str | None = None,
        may_fail: bool = False,
    ) -> Answer:
        """A link to the subscription page."""
        wanted = {"language": language, "return_url": return_url}
        body = {name: value for name, value in wanted.items() if value is not None}
        return self(PORTAL_SESSION, account, json=body, key=key or self.new_key(), may_fail=may_fail)

    def buy(
        self, pack: str = "credits-100", account: str = "acme", *, session: str | None = None, **more: Any
    ) -> Answer:
        """A purchase, with a new manager session by default; "" for none."""
        token = self.manager_session(account) if session is None else session
        headers = {"manager-session": token, **more.pop("headers", {})}
        return self(BUY, account, json={"pack": pack}, headers=headers, **more)


def new_key() -> str:
    return uuid4().hex
