"""Deliveries as API Gateway hands them to the webhook's own handler: event in, response out, for any bytes at all.

The handler is the deployed file's. Its table is in memory and empty, and its Stripe has no objects: an accepted
delivery can be quarantined or ignored, and nothing can be granted.
"""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from hmac import new as mac
from types import ModuleType
from typing import Any

from prepaid.deps import Deps
from prepaid.payments.errors import WebhookRejected
from prepaid.payments.sessions import open_stripe
from prepaid.payments.webhook import verified_event
from prepaid.store.catalog import CatalogCache
from prepaid.store.dynamodb import Deadline, Table
from prepaid.store.secrets import Versions, versions_of
from prepaid.use_cases.approving import CodeSecrets
from prepaid.use_cases.debiting import Crowds
from tests.simulation.database import Database
from tests.simulation.line import quick_client
from tests.simulation.stage import API_KEY, CHECKOUT, TABLE, TOLERANCE_SECONDS, model_client
from tests.simulation.stripe_wire import ADDRESS, StripeWire, fake_stripe, reached
from tests.support.api import WEBHOOK
from tests.support.apps import load_app, silenced
from tests.support.contract import check_answer
from tests.support.gateway_events import Context, Event, http_event

NOW = datetime(2026, 6, 16, 13, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
SECRET, PREVIOUS = "whsec_of_the_fuzzer", "whsec_before_it"
NAMES = {"u": "STRIPE-SIGNATURE", "t": "Stripe-Signature"}
BELIEVED, REFUSED = {200, 502}, {400, 413}


@dataclass(frozen=True)
class Delivery:
    """How the bytes are sent, one letter per way, and their content.

    s p: signed with the current or the previous secret. d D: such a signature and the header given, in one header, this
    one last or first. 2: both, under names that differ in case. u t: the name in capitals, or as Stripe writes it.
    b: as base64. B: declared as base64, and isn't. m h: of the maximum length, or a byte longer. n: no body at all.
    """

    ways: str
    header: str
    raw: bytes

    @property
    def sent(self) -> bytes:
        """The body before it is packed."""
        longest = webhook_file().MAX_EVENT_BYTES
        if "n" in self.ways:
            return b""
        return self.raw.ljust(longest + ("h" in self.ways)) if set("mh") & set(self.ways) else self.raw

    @property
    def signature(self) -> str:
        secret = PREVIOUS if "p" in self.ways else SECRET
        return f"v1={mac(secret.encode(), f'{SECONDS}.'.encode() + self.sent, sha256).hexdigest()}"

    @property
    def headers(self) -> dict[str, str]:
        name = next((NAMES[way] for way in self.ways if way in NAMES), "stripe-signature")
        right = f"t={SECONDS},{self.signature}"
        if "d" in self.ways:
            return {name: f"{right},{self.header}"}
        if "D" in self.ways:
            return {name: f"{self.header},{right}"}
        if "2" in self.ways:
            return {"stripe-Signature": right, name: self.header}
        return {name: right if set("sp") & set(self.ways) else self.header}

    @property
    def event(self) -> Event:
        event = http_event(WEBHOOK, headers=self.headers, claims=None, body=self.sent)
        if "b" not in self.ways:
            event["body"] = self.sent.decode(errors="surrogateescape")
            event["isBase64Encoded"] = "B" in self.ways
        if "n" in self.ways:
            del event["body"]
        return event


@dataclass
class Stand:
    """Where one delivery arrives. fetched: what the service fetched from Stripe."""

    database: Database = field(default_factory=lambda: Database(TABLE))
    fetched: list[str] = field(default_factory=list)


def delivery(data: bytes) -> None:
    """Ways, a newline, a header, a newline, a body: accepted only with the right signature over these very bytes."""
    ways, _, rest = data.partition(b"\n")
    header, _, raw = rest.partition(b"\n")
    delivery = Delivery(ways.decode("latin-1"), header.decode("latin-1"), raw)
    event = delivery.event
    stand = Stand()
    with standing(stand):
        response = webhook_handler(stand)(event, Context())
    response = json.loads(json.dumps(response))
    status, body = response["statusCode"], json.loads(response["body"])
    check_answer(WEBHOOK, status, response["headers"]["Content-Type"], body)
    if not believable(event, delivery.signature):
        assert status in REFUSED, (status, body)
        assert stand.fetched == [], "an unexpected object was fetched from Stripe"
        assert stand.database.snapshot(TABLE) == {}, "an unexpected row was written"
        return
    assert status in BELIEVED, (status, body)
    assert {partition.partition("#")[0] for partition, _ in stand.database.snapshot(TABLE)} <= {"QUARANTINE"}


def believable(event: Event, signature: str) -> bool:
    """Whether the handler must accept this event, computed in another way than the handler's."""
    text = event.get("body") or ""
    try:
        seen = b64decode(text, validate=True) if event["isBase64Encoded"] else text.encode()
    except (Base64Error, ValueError):
        return False
    if len(seen) > webhook_file().MAX_EVENT_BYTES:
        return False
    [*_, header] = [value for name, value in event["headers"].items() if name.lower() == "stripe-signature"]
    try:
        verified_event(seen, header, [SECRET, PREVIOUS], now=NOW, tolerance_seconds=TOLERANCE_SECONDS)
    except WebhookRejected:
        return False
    assert signature in header, "believed without its signature"
    return True


@cache
def webhook_file() -> ModuleType:
    """functions/purchase_webhook/app.py."""
    return load_app("purchase_webhook")


@contextmanager
def standing(stand: Stand) -> Iterator[None]:
    """Within the with block the handler uses this stand, and prints nothing."""
    # append returns None: no fault is planned.
    wire = StripeWire(fake_stripe(NOW.timestamp, API_KEY), stand.fetched.append)
    with reached(wire), silenced():
        yield


def webhook_handler(stand: Stand) -> Any:
    """The webhook's handler at this stand."""
    client = quick_client(model_client(), stand.database)
    deps = Deps(
        table=Table(client=client, name=TABLE, deadline=Deadline(at=0.0)),
        clock=lambda: NOW,
        catalog=CatalogCache(lambda: 0.0),
        crowds=Crowds(lambda: 0.0),
        cursor_secrets=lambda _: Versions({1: ""}),
        codes=lambda _: CodeSecrets(peppers=Versions(versions_of("pepper"))),
        stripe=lambda deadline: open_stripe(API_KEY, ADDRESS, is_late=deadline.passed),
        webhook_secrets=lambda _: (SECRET, PREVIOUS),
        webhook_tolerance_seconds=TOLERANCE_SECONDS,
        stack=CHECKOUT.stack,
        event_source="prepaid/test",
        outbox=None,
        webhook=None,
        portal=None,
        checkout=CHECKOUT,
        random_bytes=bytes,
    )
    return webhook_file().make_handler(deps)
