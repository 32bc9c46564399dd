"""What a new local stack is furnished with, through its own API: an account, its manager's code, a purchase to pay."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.processes import LocalStackError

ACCOUNT = "petshop-1"
PROFILE = {"name": "Pet Shop One", "plan": "trio", "ai_enabled": True}
PACK = "credits-100"
CODE = "274913"
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shop:
    """A purchase that waits for its payment."""

    purchase: str
    session: str
    checkout_url: str


@dataclass(frozen=True, slots=True)
class Api:
    """The service, as its clients see it. tokens: of the stack's own clients, by their name."""

    url: str
    tokens: Mapping[str, str]

    def __call__(
        self, method: str, path: str, client: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Any:
        """One request by one of the clients; its answer must be a success."""
        sent = {
            "Authorization": f"Bearer {self.tokens[client]}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
            **(headers or {}),
        }
        url = f"{self.url}/v1/accounts/{path}"
        request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=sent, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")
            raise LocalStackError(f"{method} {path} was answered with {error.code}: {said}") from error


def open_account(api: Api, account: str = ACCOUNT) -> None:
    """An account whose manager has a code."""
    api("PUT", account, "admin", PROFILE)
    set_code(api, account)


def set_code(api: Api, account: str = ACCOUNT) -> None:
    """Give the account's manager the code, as an administrator."""
    api("PUT", f"{account}/manager-code", "admin", {"code": CODE})


def buy(api: Api, account: str = ACCOUNT, pack: str = PACK) -> Shop:
    """A purchase as a shop makes it for the manager who types the code."""
    opened = api("POST", f"{account}/manager-sessions", "storefront", {"code": CODE})
    session = {"Manager-Session": opened["manager_session"]}
    bought = api("POST", f"{account}/purchases", "storefront", {"pack": pack}, session)
    checkout_url = str(bought["checkout_url"])
    return Shop(bought["id"], checkout_url.rpartition("/")[2], checkout_url)
