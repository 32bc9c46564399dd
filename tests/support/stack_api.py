"""Calls the deployed service as its clients do, over HTTP, and holds every answer against openapi.json."""

import http.client
import json as jsonlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

from prepaid.api import accounts, balances, consumptions, grants, histories, manager_codes, purchases, webhooks
from tests.support.contract import check_answer, document

CONSUME = consumptions.CONSUME.key
BALANCE = balances.SHOW.key
HISTORY = histories.SHOW.key
PUT_ACCOUNT = accounts.PUT.key
GET_ACCOUNT = accounts.SHOW.key
GRANT = grants.GRANT.key
MANAGER_CODE = manager_codes.PUT_CODE.key
MANAGER_SESSION = manager_codes.POST_SESSION.key
BUY = purchases.BUY.key
PURCHASES = purchases.SHOW_ALL.key
PURCHASE = purchases.SHOW.key
WEBHOOK = webhooks.RECEIVE.key
NEEDS_KEY = {CONSUME, GRANT, MANAGER_SESSION, BUY}

# Which of the stack's own clients has the scope.
HOLDER = {
    "prepaid/consume": "service",
    "prepaid/read": "service",
    "prepaid/buy": "storefront",
    "prepaid/admin": "admin",
    None: None,
}
ANSWER_SECONDS = 60
TRIES = 20


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
    def replayed(self) -> bool:
        return self.headers.get("idempotent-replayed") == "true"


@dataclass(frozen=True)
class Api:
    """The service at its address. tokens: of the stack's own clients, by their name.

    shown: manager sessions that it opened, which it should tell nobody else.
    """

    url: str
    tokens: Mapping[str, str]
    shown: set[str] = field(default_factory=set)

    def __call__(
        self,
        route: str,
        account: str = "",
        *,
        token: str | None = None,
        json: Any = None,
        body: bytes | None = None,
        key: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        id: str = "",  # noqa: A002 - as the path names it
    ) -> Answer:
        """One request, sent again as documented while the service says that it is busy.

        token: the one with the route's scope unless told; "" for none. json: sent as JSON; body: as it is. A POST that
        needs a key gets a new one unless told. headers: further ones; "" leaves one out.
        """
        method, _, path = route.partition(" ")
        holder = HOLDER[scope_of(route)]
        token = token if token is not None else self.tokens[holder] if holder else ""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        if json is not None:
            body = jsonlib.dumps(json).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        if route in NEEDS_KEY:
            sent["Idempotency-Key"] = new_key() if key is None else key
        sent |= headers or {}
        path = path.replace("{account}", quote(account, safe="")).replace("{id}", quote(id, safe=""))
        target = f"{path}?{urlencode(query)}" if query else path
        headers = {name: value for name, value in sent.items() if value}
        for _ in range(TRIES):
            answer = exchange(method, self.url + target, body, headers)
            # API Gateway refuses tokens in words of its own.
            if answer.status not in {401, 403}:
                check_answer(route, answer.status, answer.headers.get("content-type"), answer.body)
            if answer.status != 503:
                assert answer.status < 500, answer
                if route == MANAGER_SESSION and answer.status == 201:
                    self.shown.add(answer.body["manager_session"])
                return answer
            time.sleep(int(answer.headers["retry-after"]))
        raise AssertionError(f"{route} is busy for ever")

    def open(self, plan: str = "none", **more: Any) -> str:
        """A fresh account's id."""
        account = f"shop-{uuid4().hex[:12]}"
        answer = self(PUT_ACCOUNT, account, json={"name": "Pet & Cia", "plan": plan, **more})
        assert answer.status == 201, answer
        return account

    def give(self, account: str, credits: int, **more: Any) -> Any:
        """A promotional lot."""
        asked = {"credits": credits, "kind": "promotion", "reason": "welcome", **more}
        answer = self(GRANT, account, json=asked)
        assert answer.status == 201, answer
        return answer.body

    def spend(
        self, account: str, quantity: int = 1, feature: str = "sticker", *, key: str | None = None, **more: str
    ) -> Answer:
        return self(CONSUME, account, json={"feature": feature, "quantity": quantity, **more}, key=key)

    def balance(self, account: str, **query: str) -> Any:
        answer = self(BALANCE, account, query=query)
        assert answer.status == 200, answer
        return answer.body

    def pages(self, account: str, **query: str) -> Iterator[list[Any]]:
        """The history page by page, newest first, as its cursors lead."""
        while True:
            answer = self(HISTORY, account, query=query)
            assert answer.status == 200, answer
            yield answer.body["entries"]
            if answer.body["next_cursor"] is None:
                return
            query = {**query, "cursor": answer.body["next_cursor"]}

    def history(self, account: str, **query: str) -> list[Any]:
        """Every line, newest first."""
        return [line for page in self.pages(account, **query) for line in page]


def new_key() -> str:
    return uuid4().hex


def routes() -> list[str]:
    """Every route of openapi.json."""
    return [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]


def scopes_of(route: str) -> list[str]:
    """The scopes of which openapi.json asks for one; none where no token is needed."""
    method, _, path = route.partition(" ")
    security: list[dict[str, list[str]]] = document()["paths"][path][method.lower()].get("security", [])
    return [scope for one in security for scope in one["token"]]


def scope_of(route: str) -> str | None:
    """The first of them."""
    return next(iter(scopes_of(route)), None)


def exchange(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
    """One request with exactly these headers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=ANSWER_SECONDS)
    try:
        connection.request(method, url.removeprefix(f"http://{parts.netloc}"), body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
        names = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    # An answer without a body may have a content type all the same.
    parsed = jsonlib.loads(text) if text and "json" in names.get("content-type", "") else text
    return Answer(response.status, names, parsed, text)
