"""Payments for the webhook's tests: sessions at the fake Stripe, and deliveries signed here, without an SDK."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from fake_stripe import lifecycle, money_back
from fake_stripe.server import RunningFake
from prepaid.core.manager_code import ManagerSession
from prepaid.core.purchase import Purchase
from prepaid.payments.events import MONEY_EVENTS, SESSION_EVENTS
from prepaid.store import keys
from prepaid.store.dynamodb import get
from prepaid.store.purchases import read_purchase, record_purchase
from prepaid.use_cases.approving import change_code
from tests.support.api import CODE, PURCHASES, WEBHOOK, Answer
from tests.support.gateway_events import http_event
from tests.support.in_process import Service

if TYPE_CHECKING:
    from tests.support.handlers import Clock

# Each function's key, and the key with which the tests themselves call Stripe.
STRIPE_KEYS = {
    "checkout": "rk_test_ch3ck0utsown",
    "purchase_webhook": "rk_test_w3bh00ksown",
    "reconcile": "rk_test_r3c0nc1l3sown",
}
SHOP_KEY = "sk_test_th3sh0ps0wn"
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
    may_fail: bool = False,
) -> Answer:
    """These bytes with that signature, as API Gateway would pass them on: anonymous."""
    event = http_event(
        WEBHOOK,
        headers={"content-type": "application/json"} | ({header: signature} if signature is not None else {}),
        claims=None,
        body=body if base64 else body.decode(),
    )
    answer = service.send(event)
    assert may_fail or answer.status < 500, answer
    return answer


@dataclass
class Storefront:
    """Purchases of one account: recorded in the service, paid at the fake Stripe, which delivers its events."""

    service: Service
    fake: RunningFake
    clock: "Clock"
    account: str = "acme"
    count: int = 0

    @property
    def now(self) -> datetime:
        return self.clock.now

    def buy(self, pack: str = "credits-100", *, account: str | None = None, **more: Any) -> Purchase:
        """A purchase by the API, with its payment page open."""
        account = account or self.account
        answer = self.service.buy(pack, account, **more)
        assert answer.status == 201, answer
        return self.read(answer.body["id"], account)

    def sell(self, *, account: str | None = None, **changes: Any) -> Purchase:
        """A recorded purchase with a session created here. changes: to the record."""
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
            "language": "pt-BR",
            "live": False,
            "requested_by": "shop",
            "state": "open",
            "version": 1,
            "created_at": self.now,
            "changed_at": self.now,
            "session": session["id"],
            "checkout_url": session["url"],
        }
        purchase = Purchase(**(recorded | changes))
        end = self.now + timedelta(minutes=10)
        digest = f"{account}-{purchase.id}"
        manager = ManagerSession(digest=digest, account=account, code_version=self._code(account), expires_at=end)
        return record_purchase(self.service.table, purchase, f"key-of-{purchase.id}", manager)

    def _code(self, account: str) -> int:
        """The version of the account's code, which it is given when it has none."""
        record = get(self.service.table, keys.manager(account))
        if record is None:
            # Not over HTTP: some of these accounts were never opened.
            change_code(self.service.table, account, CODE, None, self.service.codes_of("checkout"), now=self.now)
            return 1
        return int(record["version"]["N"])

    def open_session(self, metadata: dict[str, str], *, quantity: int = 1, amount: int = 4990) -> Json:
        """A checkout session as any client of the API makes it."""
        import stripe  # noqa: PLC0415 - only the webhook's tests pay for it

        client = stripe.StripeClient(SHOP_KEY, base_addresses={"api": self.fake.url})
        session = client.v1.checkout.sessions.create(
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
        return self.session(session.id)

    def session(self, session_id: str) -> Json:
        """The fake's own object: its API returns what a test changes here."""
        with self.fake.state.lock:
            return self.fake.state.find("checkout.session", session_id)

    def replace_session(self, session_id: str, session: Json) -> None:
        with self.fake.state.lock:
            self.fake.state.tables["checkout.session"][session_id] = session

    def pay(self, purchase: Purchase, method: str = "card") -> list[Json]:
        """The customer pays; the session's events so far, oldest first."""
        self.happen(purchase, "pay", method)
        return self.events(purchase.session)

    def happen(self, purchase: Purchase, what: str, *more: Any, **named: Any) -> list[Json]:
        """Change a purchase's session by a function of the fake's lifecycle. Returns the events that concern us."""
        assert purchase.session
        with self.fake.state.lock:
            before = len(self.fake.state.newest_first("event"))
            getattr(lifecycle, what)(self.fake.state, purchase.session, *more, **named)
            return self.since(before)

    def refund(self, purchase: Purchase, amount: int | None = None, status: str = "succeeded") -> list[Json]:
        return self._with_charge(purchase, "refund", amount, status)

    def dispute(self, purchase: Purchase, **named: Any) -> list[Json]:
        return self._with_charge(purchase, "dispute", **named)

    def later(self, kind: str, what: str, *more: Any, **named: Any) -> list[Json]:
        """Change the newest refund or dispute."""
        with self.fake.state.lock:
            before = len(self.fake.state.newest_first("event"))
            newest = self.fake.state.newest_first(kind)[0]["id"]
            getattr(money_back, what)(self.fake.state, newest, *more, **named)
            return self.since(before)

    def _with_charge(self, purchase: Purchase, what: str, *more: Any, **named: Any) -> list[Json]:
        with self.fake.state.lock:
            before = len(self.fake.state.newest_first("event"))
            charge = money_back.charge_of(self.fake.state, purchase.session or "")["id"]
            getattr(money_back, what)(self.fake.state, charge, *more, **named)
            return self.since(before)

    def since(self, before: int) -> list[Json]:
        """The events after the first so many, of the types that concern us, oldest first."""
        with self.fake.state.lock:
            events = self.fake.state.newest_first("event")[::-1][before:]
            return [event for event in events if event["type"] in SESSION_EVENTS | MONEY_EVENTS]

    def events(self, session_id: str | None) -> list[Json]:
        """The checkout-session events about one session, oldest first."""
        return [event for event in self.since(0) if event["data"]["object"]["id"] == session_id]

    def deliver(self, event: Json, *, may_fail: bool = False) -> Answer:
        """Deliver an event as Stripe does."""
        body = json.dumps(event | {"pending_webhooks": 1}, indent=2, ensure_ascii=False).encode()
        return deliver(self.service, body, signed(body, self.now), may_fail=may_fail)

    def deliver_all(self, events: Sequence[Json]) -> None:
        for event in events:
            assert self.deliver(event).status == 200

    def purchase(self, purchase: Purchase) -> Purchase:
        """The record as it is now."""
        return self.read(purchase.id, purchase.account)

    def read(self, purchase_id: str, account: str) -> Purchase:
        found = read_purchase(self.service.table, account, purchase_id)
        assert found
        return found


def at_stripe(storefront: Storefront, kind: str) -> list[Any]:
    """The fake's objects of a kind, newest first."""
    with storefront.fake.state.lock:
        return storefront.fake.state.newest_first(kind)


def bought(storefront: Storefront, answer: Answer, *, replayed: bool) -> Any:
    """Check that there is one purchase, one page and one customer."""
    assert answer.status == 201, answer
    assert answer.headers.get("idempotent-replayed") == ("true" if replayed else None)
    [session] = at_stripe(storefront, "checkout.session")
    [customer] = at_stripe(storefront, "customer")
    [listed] = storefront.service(PURCHASES).body["purchases"]
    assert (listed["id"], session["customer"]) == (answer.body["id"], customer["id"])
    assert answer.body["checkout_url"] == listed["checkout_url"] == session["url"]
    record = storefront.read(answer.body["id"], "acme")
    assert (record.session, session["client_reference_id"]) == (session["id"], record.id)
    return record
