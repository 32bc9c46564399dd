"""Calls the functions as API Gateway does, and holds every answer against the contract."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prepaid.api import (
    accounts,
    balances,
    catalogs,
    consumptions,
    grants,
    histories,
    manager_codes,
    openapi,
    purchases,
    webhooks,
)
from prepaid.api.http.routes import KEY
from prepaid.store.dynamodb import Table
from prepaid.use_cases.approving import CodeSecrets
from tests.support.contract import check_answer, check_problem
from tests.support.functions import Functions
from tests.support.gateway_events import ADMIN, ANYBODY, BUYER, Claims, Context, Event, compact, http_event
from tests.support.iam_rights import acting_as
from tests.support.store_driver import Stored, stored

CONSUME = consumptions.CONSUME.key
BALANCE = balances.SHOW.key
HISTORY = histories.SHOW.key
PUT_ACCOUNT = accounts.PUT.key
GET_ACCOUNT = accounts.SHOW.key
GRANT = grants.GRANT.key
PACKS = catalogs.SHOW_PACKS.key
GET_CATALOG = catalogs.SHOW_CATALOG.key
PUT_CATALOG = catalogs.PUT_CATALOG.key
MANAGER_CODE = manager_codes.PUT_CODE.key
MANAGER_SESSION = manager_codes.POST_SESSION.key
BUY = purchases.BUY.key
PURCHASES = purchases.SHOW_ALL.key
PURCHASE = purchases.SHOW.key
WEBHOOK = webhooks.RECEIVE.key
FUNCTION_OF = {
    CONSUME: "consume",
    BALANCE: "balance_query",
    HISTORY: "balance_query",
    PUT_ACCOUNT: "accounts",
    GET_ACCOUNT: "accounts",
    GRANT: "accounts",
    PACKS: "accounts",
    GET_CATALOG: "accounts",
    PUT_CATALOG: "accounts",
    MANAGER_CODE: "checkout",
    MANAGER_SESSION: "checkout",
    BUY: "checkout",
    PURCHASES: "checkout",
    PURCHASE: "checkout",
    WEBHOOK: "purchase_webhook",
}
NEEDS_KEY = {route.key for route in openapi.ROUTES if KEY in route.parameters}
PRIVATE_HEADERS = ("authorization", "stripe-signature", "manager-session")
# A code that the manager of every account here has, unless a test says otherwise.
CODE = "274913"
# So short a body says nothing, and may well be part of a log line by chance.
SHORT = 12

type Handler = Callable[[Event, Any], dict[str, Any]]


@dataclass(frozen=True)
class Answer:
    """headers: names in lower case. body: parsed when it is JSON. text: as it travelled."""

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


@dataclass
class Service:
    """The functions at one table. private, codes: what was sent or shown and must not turn up in any log."""

    table: Table
    functions: Functions
    private: set[str] = field(default_factory=set)
    codes: set[str] = field(default_factory=lambda: {CODE})
    _keys: int = 0

    def __call__(
        self,
        route: str,
        account: str | None = "acme",
        *,
        json: Any = None,
        body: str | bytes | None = None,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        claims: Claims | None = ANYBODY,
        trouble: bool = False,
        **path: str,
    ) -> Answer:
        """One request. path: its parameters besides the account. json: sent as JSON; body: sent as it is. A POST that
        needs a key gets a new one unless told.

        trouble: whether 5xx is what the test is about; elsewhere it is a failure.
        """
        sent = {"content-type": "application/json"} if json is not None or body is not None else {}
        if route in NEEDS_KEY:
            self._keys += 1
            sent["idempotency-key"] = f"key-{self._keys}" if key is None else key
        event = http_event(
            route,
            path=({"account": account} if account is not None and "{account}" in route else {}) | path,
            query=query,
            headers={name: value for name, value in {**sent, **(headers or {})}.items() if value != ""},
            claims=claims,
            body=compact(json) if json is not None else body,
        )
        answer = self.send(event)
        assert trouble or answer.status < 500, answer
        return answer

    def send(self, event: Event, context: Any = None) -> Answer:
        """One event as it is. The answer is held against the contract."""
        route = event["routeKey"]
        self._keep_private(event)
        with acting_as(FUNCTION_OF[route]):
            response = self.functions[FUNCTION_OF[route]](event, context or Context())
        # It must survive Lambda's own JSON.
        response = json.loads(json.dumps(response, ensure_ascii=False).encode())
        assert set(response) <= {"statusCode", "headers", "body"}
        assert response["headers"].pop("Cache-Control") == "no-store"
        headers = {name.lower(): value for name, value in response["headers"].items()}
        # Whatever was asked: no line break that would be a header of somebody else's making.
        assert all(value.isascii() and value.isprintable() for value in headers.values()), headers
        kind = headers.get("content-type", "")
        text = response.get("body", "")
        body = json.loads(text) if "json" in kind else text
        check_answer(route, response["statusCode"], kind, body)
        if route == MANAGER_SESSION and response["statusCode"] == 201:
            self.private.add(body["manager_session"])
        return Answer(response["statusCode"], headers, body, text)

    def open(self, account: str = "acme", *, credits: int = 0, **more: Any) -> None:
        """An account on plan none, with one promotional lot of so many credits."""
        asked = {"name": "Pet & Cia", "plan": "none", **more}
        assert self(PUT_ACCOUNT, account, json=asked).status == 201
        if credits:
            self.give(credits, account)

    def give(self, credits: int, account: str = "acme", **more: Any) -> Any:
        asked = {"credits": credits, "kind": "promotion", "reason": "welcome", **more}
        answer = self(GRANT, account, json=asked)
        assert answer.status == 201, answer
        return answer.body

    def spend(self, quantity: int = 1, feature: str = "sticker", account: str = "acme", **more: Any) -> Answer:
        return self(CONSUME, account, json={"feature": feature, "quantity": quantity}, **more)

    def balance(self, account: str = "acme", **query: str) -> Any:
        return self(BALANCE, account, query=query).body

    def set_code(self, code: str = CODE, account: str = "acme", *, current: str | None = None) -> Answer:
        """By an administrator, or with the current code by a buyer."""
        self.codes |= {code} | ({current} if current else set())
        asked = {"code": code} | ({"current_code": current} if current is not None else {})
        return self(MANAGER_CODE, account, json=asked, claims=ADMIN if current is None else BUYER)

    def try_code(self, code: str = CODE, account: str = "acme", **more: Any) -> Answer:
        self.codes.add(code)
        return self(MANAGER_SESSION, account, json={"code": code}, claims=BUYER, **more)

    def manager_session(self, account: str = "acme", code: str = CODE) -> str:
        answer = self.try_code(code, account)
        assert answer.status == 201, answer
        return str(answer.body["manager_session"])

    def buy(
        self, pack: str = "credits-100", account: str = "acme", *, session: str | None = None, **more: Any
    ) -> Answer:
        """A purchase, with a new manager session unless told."""
        token = self.manager_session(account) if session is None else session
        headers = {"manager-session": token, **more.pop("headers", {})}
        return self(BUY, account, json={"pack": pack}, headers=headers, claims=BUYER, **more)

    def stored(self) -> Stored:
        return stored(self.table)

    def codes_of(self, function: str) -> CodeSecrets:
        """What a function hashes codes with."""
        return self.functions.deps[function].codes()

    def _keep_private(self, event: Event) -> None:
        headers = {name.lower(): value for name, value in event["headers"].items()}
        said = [event.get("body") or "", *(headers.get(name, "") for name in PRIVATE_HEADERS)]
        self.private.update(text for text in said if len(text) >= SHORT)


def unknown_route(handler: Handler, event: Event) -> Answer:
    """The answer to a route that no contract knows."""
    response = handler(event, Context())
    body = json.loads(response["body"])
    check_problem(response["statusCode"], body)
    return Answer(response["statusCode"], response["headers"], body, response["body"])
