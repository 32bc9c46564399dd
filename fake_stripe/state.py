"""The fake's memory: Stripe's objects by kind, the events about them, and the clock."""

import copy
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fake_stripe import objects
from fake_stripe.errors import Json, missing

API_VERSION = "2026-10-28.endive"
KEPT_OBJECTS = 20_000
ALPHABET = string.ascii_letters + string.digits
PREFIXES = {
    "balance_transaction": "txn", "charge": "ch", "checkout.session": "cs_test", "customer": "cus", "dispute": "du",
    "event": "evt", "item": "li", "payment_intent": "pi", "payment_method": "pm", "price": "price", "product": "prod",
    "refund": "re", "request": "req",
}  # fmt: skip


def random_id(kind: str) -> str:
    length = 58 if kind == "checkout.session" else 24
    return f"{PREFIXES[kind]}_" + "".join(secrets.choice(ALPHABET) for _ in range(length))


@dataclass
class Basket:
    """The parts of a session that its object doesn't show."""

    items: list[Json]
    intent_fields: Json  # for the payment intent
    method: str | None = None  # the payer's choice


class State:
    """`lock` guards everything: hold it to read or change objects."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        new_id: Callable[[str], str] = random_id,
        public_url: str = "http://127.0.0.1:12111",
    ) -> None:
        self.lock = threading.RLock()
        self.new_id = new_id
        self.public_url = public_url
        self.api_version = API_VERSION
        self.clock_offset = 0
        self.listeners: list[Callable[[Json], None]] = []
        self.cause: Json = {"id": None, "idempotency_key": None}
        self._now = now
        self.clear()

    def clear(self) -> None:
        self.tables: dict[str, dict[str, Json]] = {}
        self.baskets: dict[str, Basket] = {}

    def now(self) -> int:
        return int(self._now()) + self.clock_offset

    def put(self, record: Json) -> Json:
        table = self.tables.setdefault(record["object"], {})
        table[record["id"]] = record
        if len(table) > KEPT_OBJECTS:
            oldest = next(iter(table))
            del table[oldest]
            self.baskets.pop(oldest, None)
        return record

    def find(self, kind: str, identifier: str, param: str = "id") -> Json:
        try:
            return self.tables[kind][identifier]
        except KeyError:
            raise missing(kind, identifier, param) from None

    def newest_first(self, kind: str) -> list[Json]:
        return list(reversed(self.tables.get(kind, {}).values()))

    def move_money(self, kind: str, amount: int, source: Json) -> Json:
        identifier = self.new_id("balance_transaction")
        return self.put(objects.balance_transaction(identifier, self.now(), kind=kind, amount=amount, source=source))

    def emit(self, kind: str, subject: Json, previous: Json | None = None) -> Json:
        """Record an event about `subject` and pass it to the listeners (the webhooks)."""
        event = objects.event(
            self.new_id("event"),
            self.now(),
            kind=kind,
            subject=copy.deepcopy(subject),
            api_version=self.api_version,
            cause=self.cause,
        )
        if previous is not None:
            event["data"]["previous_attributes"] = previous
        self.put(event)
        for listener in self.listeners:
            listener(event)
        return event
