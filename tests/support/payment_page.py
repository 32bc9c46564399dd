"""Where test accounts buy: purchases on record, the fake Stripe's page as a person uses it, and its controls."""

import json
import time
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin

from local import demo
from local.deploy import client
from local.stack import Stack
from prepaid.store.dynamodb import Table
from prepaid.store.purchases import read_purchase
from tests.support.api import Answer
from tests.support.over_http import exchange
from tests.support.store_driver import NO_DEADLINE

DELIVERY_TIMEOUT_SECONDS = 60
SESSION_EVENT = "checkout.session."
UNDISTURBED = {
    "running": True,
    "concurrency": 1,
    "delay_seconds": 0,
    "duplicate_next": 0,
    "copies": 1,
    "lose_next": 0,
    "hold_next": 0,
    "sign_with": "current",
}


@dataclass(frozen=True)
class StackStorefront:
    """The stack's payment provider, and the table where purchases are recorded."""

    stack: Stack
    with_code: set[str] = field(default_factory=set)

    def table(self) -> Table:
        dynamodb = client(self.stack.deployed.cloud, "dynamodb")
        return Table(client=dynamodb, name=self.stack.addresses.table_name, deadline=NO_DEADLINE)

    def order(self, account: str, pack: str = "credits-50") -> demo.Shop:
        """A purchase that waits for its payment."""
        api = demo.Api(self.stack.addresses.api_url, self.stack.addresses.tokens)
        self.set_code(account)
        return demo.buy(api, account, pack)

    def set_code(self, account: str) -> None:
        """Give the account's manager the demo's code, once."""
        if account not in self.with_code:
            demo.set_code(demo.Api(self.stack.addresses.api_url, self.stack.addresses.tokens), account)
            self.with_code.add(account)

    def shop_of(self, purchase: Any) -> demo.Shop:
        """A purchase that the service answered with."""
        return demo.Shop(purchase["id"], purchase["checkout_url"].rpartition("/")[2], purchase["checkout_url"])

    def state(self, account: str, shop: demo.Shop) -> str:
        """The purchase's state."""
        purchase = read_purchase(self.table(), account, shop.purchase)
        assert purchase
        return purchase.state

    # The page

    def press(self, shop: demo.Shop, button: str) -> str:
        """Open the payment page, press a form's button (card, pix, boleto, paid, failed); the page shown then."""
        address = shop.checkout_url
        forms = Forms.of(self._open(f"{address}?method={button}"))
        [form] = [form for form in forms if form.action.endswith(f"/{button}")]
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "text/html"}
        headers["Origin"] = self.stack.addresses.stripe_url
        pressed = exchange("POST", urljoin(address, form.action), urlencode(form.values).encode(), headers)
        assert pressed.status == 303, pressed
        return self._open(urljoin(address, pressed.headers["location"]))

    def _open(self, address: str) -> str:
        page = exchange("GET", address, None, {"Accept": "text/html", "Accept-Language": "en"})
        assert page.status == 200, page
        return page.text

    # The controls

    def control(self, switch: str, **params: Any) -> Any:
        """POST to one of the provider's controls."""
        answer = self._control("POST", switch, json.dumps(params).encode())
        assert answer.status == 200, answer
        return answer.body

    def session(self, shop: demo.Shop, action: str, **params: Any) -> Any:
        """Let something happen to the purchase's payment."""
        return self.control(f"sessions/{shop.session}/{action}", **params)

    def send(self, body: bytes, *, sign_with: str) -> Any:
        """Any bytes to the webhook, with the given signature; returns the attempt with the service's response."""
        self.control("webhooks", sign_with=sign_with)
        return self._control("POST", "webhooks/raw", body).body

    def drain(self) -> None:
        """Wait until every delivery has its final response."""
        deadline = time.monotonic() + DELIVERY_TIMEOUT_SECONDS
        while not (left := self.control("drain", timeout_seconds=10))["drained"]:
            assert time.monotonic() < deadline, left

    def events(self, shop: demo.Shop) -> dict[str, str]:
        """Events about the purchase's session, type by id, oldest first."""
        events = self._control("GET", "state", None).body["objects"]["event"]
        return {event["id"]: event["type"] for event in events if event["data"]["object"]["id"] == shop.session}

    def deliveries(self, shop: demo.Shop) -> list[Any]:
        """Attempts to deliver those events, in the order of their answers."""
        events = self.events(shop)
        return [
            delivery
            for delivery in self._control("GET", "deliveries", None).body["deliveries"]
            if delivery["event"] in events
        ]

    def stop_disturbing(self) -> None:
        self.control("webhooks", **UNDISTURBED)
        self.control("webhooks/release")
        self.drain()

    def _control(self, method: str, switch: str, body: bytes | None) -> Answer:
        address = f"{self.stack.addresses.stripe_url}/_control/{switch}"
        return exchange(method, address, body, {"Content-Type": "application/json"} if body is not None else {})


@dataclass
class Form:
    """A form of a page, with the values that the page proposes."""

    action: str
    values: dict[str, str] = field(default_factory=dict)


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    @classmethod
    def of(cls, page: str) -> list[Form]:
        reader = cls()
        reader.feed(page)
        return reader.found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = dict(attrs)
        if tag == "form":
            assert has["method"] == "post"
            self.found.append(Form(has["action"] or ""))
        elif tag == "input":
            self.found[-1].values[has["name"] or ""] = has["value"] or ""
