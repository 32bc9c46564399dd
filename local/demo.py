"""Demo data through a local stack's API: a manager's code, an unpaid purchase, a link to the subscription page."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local.processes import LocalStackError

ACCOUNT = "petshop-1"
NAME = "Pet Shop One"
PACK = "credits-100"
CODE = "274913"
ANSWER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shop:
    """An unpaid purchase and its payment page."""

    purchase: str
    session: str
    checkout_url: str


@dataclass(frozen=True, slots=True)
class Api:
    """A client of the service's API. tokens: by the name of the client."""

    url: str
    tokens: Mapping[str, str]

    def __call__(
        self, method: str, path: str, client: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> Any:
        """Send one request as `client` and return the response's JSON. Raises LocalStackError for an error response."""
        request_headers = {
            "Authorization": f"Bearer {self.tokens[client]}",
            "Content-Type": "application/json",
            "Idempotency-Key": secrets.token_hex(16),
            **(headers or {}),
        }
        url = f"{self.url}/v1/accounts/{path}"
        request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=request_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
                return json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise LocalStackError(f"{method} {path} returned {error.code}: {text}") from error


def set_code(api: Api, account: str) -> None:
    """Set the account's manager's code, as an administrator."""
    api("PUT", f"{account}/manager-code", "admin", {"code": CODE})


def buy(api: Api, account: str = ACCOUNT, pack: str = PACK) -> Shop:
    """Buy a pack as a storefront does, with the manager's code. The purchase isn't paid yet."""
    session = api("POST", f"{account}/manager-sessions", "storefront", {"code": CODE})
    headers = {"Manager-Session": session["manager_session"]}
    purchase = api("POST", f"{account}/purchases", "storefront", {"pack": pack}, headers)
    checkout_url = str(purchase["checkout_url"])
    return Shop(purchase["id"], checkout_url.rpartition("/")[2], checkout_url)


def page_link(api: Api, account: str = ACCOUNT, language: str | None = None) -> str:
    """A new link to the account's subscription page. It works once, within ten minutes. `language` is the page's."""
    link = api("POST", f"{account}/portal-sessions", "storefront", {"language": language} if language else {})
    return str(link["url"])
