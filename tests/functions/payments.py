"""The paying side of the webhook's tests: sessions on the fake Stripe, deliveries signed here, not by anybody's SDK."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.stripe import lifecycle
from local.stripe.running import RunningFake
from prepaid.core.purchase import Purchase
from prepaid.store.purchases import read_purchase, record_purchase
from tests.functions.client import WEBHOOK, Answer, Service
from tests.functions.events import http_event

API_KEY = "rk_test_7h3r3stricted0ne"
CURRENT_SECRET = "whsec_current_1f2e3d"
PREVIOUS_SECRET = "whsec_previous_4c5b6a"
OTHER_SECRET = "whsec_other_9a8b7c"

type Json = dict[str, Any]


def signed(body: bytes, at: datetime, *, secret: str = CURRENT_SECRET) -> str:
    """A Stripe-Signature header for these bytes."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={mac(body, seconds, secret)}"


def mac(body: bytes, seconds: int, secret: str) -> str:
    return hmac.new(secret.encode(), str(seconds).encode() + b"." + body, hashlib.sha256).hexdigest()


def deliver(
    service: Service,
    body: bytes,
    signature: str | None,
    *,
    header: str = "Stripe-Signature",
    base64: bool = False,
    trouble: bool = False,
) -> Answer:
    """These bytes with that signature, as API Gateway would pass them on: anonymous."""
    event = http_event(
        WEBHOOK,
        headers={"content-type": "application/json"} | ({header: signature} if signature is not None else {}),
        claims=None,
        body=body if base64 else body.decode(),
    )
    answer = service.send(event)
    assert trouble or answer.status < 500, answer
    return answer


@dataclass
class Till:
    """Purchases of one account: recorded with us, paid at the fake Stripe, and told by its events."""

    service: Service
    fake: RunningFake
    now: datetime
    account: str = "acme"
    count: int = 0

    def sell(self, *, account: str | None = None, **changes: Any) -> Purchase:
        """A recorded purchase with its session. changes: what the record says otherwise than the session."""
        self.count += 1
        number, account = self.count, account or self.account
        metadata = {"prepaid_account": account, "prepaid_purchase": f"pur_{number}"}
        session = self.open_session(metadata)
        recorded: Json = {
            "id": f"pur_{number}",
            "account": account,
            "pack": "credits-100",
            "credits": 100,
            "amount": 4990,
            "currency": "brl",
            "valid_months": 12,
            "live": False,
            "state": "open",
            "version": 1,
            "created_at": self.now,
            "changed_at": self.now,
            "session": session["id"],
        }
        purchase = Purchase(**(recorded | changes))
        record_purchase(self.service.table, purchase)
        return purchase

    def open_session(self, metadata: dict[str, str], *, quantity: int = 1, amount: int = 4990) -> Json:
        """A checkout session as any client of the API makes it."""
        import stripe  # noqa: PLC0415 - only the webhook's tests pay for it

        client = stripe.StripeClient(API_KEY, base_addresses={"api": self.fake.url})
        made = client.v1.checkout.sessions.create(
            {
                "mode": "payment",
                "success_url": "https://shop.example.com/thanks",
                "line_items": [
                    {
                        "quantity": quantity,
                        "price_data": {"currency": "brl", "unit_amount": amount, "product_data": {"name": "Credits"}},
                    }
                ],
                "metadata": metadata,
            }
        )
        return self.session(made.id)

    def session(self, session_id: str) -> Json:
        """The fake's own object: what is changed here, its API says."""
        with self.fake.state.lock:
            return self.fake.state.find("checkout.session", session_id)

    def replace_session(self, session_id: str, session: Json) -> None:
        with self.fake.state.lock:
            self.fake.state.tables["checkout.session"][session_id] = session

    def pay(self, purchase: Purchase, method: str = "card") -> list[Json]:
        """The customer pays; the session's events so far, oldest first."""
        assert purchase.session
        with self.fake.state.lock:
            lifecycle.pay(self.fake.state, purchase.session, method)
        return self.events(purchase.session)

    def events(self, session_id: str | None) -> list[Json]:
        """The checkout-session events about one session, oldest first."""
        with self.fake.state.lock:
            return [
                event
                for event in reversed(self.fake.state.newest_first("event"))
                if event["data"]["object"]["id"] == session_id
            ]

    def tell(self, event: Json, *, trouble: bool = False) -> Answer:
        """Deliver an event as Stripe does."""
        body = json.dumps(event | {"pending_webhooks": 1}, indent=2, ensure_ascii=False).encode()
        return deliver(self.service, body, signed(body, self.now), trouble=trouble)

    def tell_all(self, events: Sequence[Json]) -> None:
        for event in events:
            assert self.tell(event).status == 200

    def purchase(self, purchase: Purchase) -> Purchase:
        """The record as it is now."""
        found = read_purchase(self.service.table, purchase.account, purchase.id)
        assert found
        return found
