"""Short calls for the store's tests: the operations on one table, and what is stored afterwards."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from math import inf
from typing import Any
from uuid import uuid4

import stripe

from prepaid.core.account import Account, Lot, LotKind, Terms
from prepaid.core.catalog import Catalog
from prepaid.core.errors import Busy
from prepaid.core.holding import DEFAULT_TTL_SECONDS, PlaceHold
from prepaid.core.ledger import ChangeTerms, Debit, Grant, Settle, Void, apply, open_account
from prepaid.core.manager_code import ManagerSession
from prepaid.core.purchase import PaymentStatus, Purchase
from prepaid.store import keys
from prepaid.store.accounts import Profile
from prepaid.store.catalog import first_catalog
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Deadline, Item, Table, put, within
from prepaid.store.items import SALT_BYTES, entry_to_item, key_digest
from prepaid.store.ledger import Appended, append, open_ledger, read_tail
from prepaid.store.purchases import PurchaseRef, read_purchase, record_purchase
from prepaid.store.secrets import Versions, versions_of
from prepaid.store.waiting import KeyedDebit
from prepaid.use_cases.administering import put_account
from prepaid.use_cases.approving import CodeSecrets, OpenedSession, open_session, slow_digest
from prepaid.use_cases.debiting import Crowds, append_debit, append_each
from prepaid.use_cases.debiting import Outcome as BatchOutcome
from prepaid.use_cases.erasing import erase_customer
from prepaid.use_cases.holding import capture_hold, release_hold
from prepaid.use_cases.reversing import reverse_charge
from prepaid.use_cases.sweeping import PIECE_SECONDS
from prepaid.use_cases.syncing import Outcome, Sync, sync_purchase
from tests.oracle import stored_form
from tests.support.template import table_schema

NOW = datetime(2026, 6, 16, 13, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(milliseconds=1)

NO_QUOTA = Terms(plan="none", ai_enabled=False, quota_anchor_day=1, time_zone="America/Sao_Paulo", currency="brl")
QUOTA_100 = Terms(plan="individual", ai_enabled=True, quota_anchor_day=1, time_zone="America/Sao_Paulo", currency="brl")
PROFILE = Profile(name="Pet & Cia", language="pt-BR", manager_contact=None)

# Comparing codes is slow on purpose; here it is done a million times.
QUICK_DIGEST = partial(slow_digest, cost=2)
CODES = CodeSecrets(peppers=Versions(versions_of("pepper")), slow_digest=QUICK_DIGEST)

type Stored = dict[tuple[str, str], Item]


@dataclass
class FakeTime:
    """A clock that only sleeping moves, and a random source that always returns the same number."""

    dice: float = 1.0
    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def deadline(self, seconds: float = 4.0) -> Deadline:
        return Deadline(at=self.now + seconds, clock=self.clock, sleep=self.sleep, jitter=lambda: self.dice)


# A distant deadline, for tests that aren't about deadlines.
NO_DEADLINE = Deadline(at=inf)


class StripeWithoutNames:
    """Stripe's client where no payment names a purchase."""

    @property
    def v1(self) -> "StripeWithoutNames":
        return self

    @property
    def payment_intents(self) -> "StripeWithoutNames":
        return self

    def retrieve(self, payment: str) -> stripe.PaymentIntent:
        return stripe.PaymentIntent.construct_from({"id": payment, "metadata": {}}, None)


NO_STRIPE: Any = StripeWithoutNames()


@dataclass(frozen=True)
class StoreDriver:
    """The store's operations on one table, with defaults for what a test is seldom about."""

    table: Table
    catalog: Catalog = field(default_factory=first_catalog)
    # The mismatches that were quarantined, by the event that found them.
    reported: list[str] = field(default_factory=list)
    crowds: Crowds = field(default_factory=Crowds)

    def with_deadline(self, deadline: Deadline) -> "StoreDriver":
        return replace(self, table=replace(self.table, deadline=deadline))

    def piece(self) -> Table:
        """The table with a new deadline, as a job gives each of its pieces."""
        return within(self.table, PIECE_SECONDS)

    def open(self, account: str = "acme", terms: Terms = NO_QUOTA, *, credits: int = 0, at: datetime = NOW) -> None:
        """An account with one lot of so many credits, which ends long after the test."""
        self.put_account(account, terms, at=at)
        if credits:
            self.grant(credits, account=account, at=at)

    def put_account(
        self, account: str = "acme", terms: Terms = NO_QUOTA, profile: Profile = PROFILE, *, at: datetime = NOW
    ) -> bool:
        opened, _ = put_account(
            self.table,
            account,
            terms,
            profile,
            actor="admin",
            catalog=self.catalog,
            now=at,
        )
        return opened

    def debit(
        self,
        quantity: int = 1,
        *,
        key: str | None = None,
        feature: str = "sticker",
        account: str = "acme",
        at: datetime = NOW,
        actor: str = "app",
        **more: str,
    ) -> Appended:
        operation = Debit(actor=actor, feature=feature, quantity=quantity, **more)
        if key is None:
            return self._append(account, operation, at, key)
        return append_debit(
            self.table,
            account,
            operation,
            catalog=self.catalog,
            now=at,
            idempotency_key=key,
            salt=secrets.token_bytes(SALT_BYTES),
            crowds=self.crowds,
        )

    def grant(
        self,
        credits: int,
        *,
        key: str | None = None,
        kind: LotKind = "promotion",
        validity: datetime | int = 12,
        account: str = "acme",
        at: datetime = NOW,
        actor: str = "admin",
        description: str | None = None,
    ) -> Appended:
        operation = Grant(actor=actor, kind=kind, credits=credits, validity=validity, description=description)
        return self._append(account, operation, at, key)

    def void(
        self,
        lot: int,
        credits: int | None = None,
        *,
        key: str | None = None,
        account: str = "acme",
        at: datetime = NOW,
        description: str | None = None,
    ) -> Appended:
        operation = Void(actor="admin", lot=lot, credits=credits, description=description)
        return self._append(account, operation, at, key)

    def batch(
        self,
        items: Sequence[tuple[str, int]],
        *,
        account: str = "acme",
        at: datetime = NOW,
    ) -> tuple[BatchOutcome, ...]:
        """Stickers by key and quantity."""
        debits = [KeyedDebit(key, Debit(actor="app", feature="sticker", quantity=quantity)) for key, quantity in items]
        salt = secrets.token_bytes(SALT_BYTES)
        return append_each(self.table, account, debits, catalog=self.catalog, now=at, salt=salt, crowds=self.crowds)

    def hold(
        self,
        quantity: int = 1,
        *,
        key: str | None = None,
        feature: str = "sticker",
        ttl_seconds: int = DEFAULT_TTL_SECONDS,
        account: str = "acme",
        at: datetime = NOW,
        **more: str,
    ) -> int:
        """The number of a new hold."""
        operation = PlaceHold(actor="app", feature=feature, quantity=quantity, ttl_seconds=ttl_seconds, **more)
        return self._append(account, operation, at, key).entries[-1].number

    def capture(
        self, hold: int, quantity: int | None = None, *, key: str, account: str = "acme", at: datetime = NOW
    ) -> Appended:
        return capture_hold(
            self.table,
            account,
            actor="app",
            hold=hold,
            quantity=quantity,
            catalog=self.catalog,
            now=at,
            idempotency_key=key,
            salt=secrets.token_bytes(SALT_BYTES),
        )

    def release(self, hold: int, *, key: str, account: str = "acme", at: datetime = NOW) -> Appended:
        return release_hold(
            self.table, account, actor="app", hold=hold, catalog=self.catalog, now=at, idempotency_key=key
        )

    def reverse(
        self, entry: int, quantity: int | None = None, *, key: str, account: str = "acme", at: datetime = NOW
    ) -> Appended:
        """Return units of the consumption or capture that the entry recorded."""
        return reverse_charge(
            self.table,
            account,
            actor="app",
            entry=entry,
            quantity=quantity,
            description="the job failed",
            catalog=self.catalog,
            now=at,
            idempotency_key=key,
            salt=secrets.token_bytes(SALT_BYTES),
        )

    def erase(self, customer: str, *, key: str, account: str = "acme", at: datetime = NOW) -> Appended:
        return erase_customer(
            self.table,
            account,
            customer,
            actor="admin",
            catalog=self.catalog,
            now=at,
            idempotency_key=key,
            secrets=Versions({1: "secret"}),
        )

    def debit_in_bulk(self, entries: int, *, account: str = "acme") -> None:
        """Debits of 1 up to that many entries, computed by the core and written in bulk."""
        tail = read_tail(self.table, account)
        entry, last_hash = tail.entry, tail.hash
        requests: list[Any] = []
        while entry.number < entries:
            debit = Debit(actor="app", feature="sticker", quantity=1)
            [entry] = apply(entry.after, debit, catalog=self.catalog, now=NOW)
            item = entry_to_item(entry, last_hash)
            last_hash = item["hash"]["B"]
            requests.append({"PutRequest": {"Item": item}})
        for start in range(0, len(requests), 25):
            self.table.client.batch_write_item(RequestItems={self.table.name: requests[start : start + 25]})

    def open_with_lots(self, number: int, account: str = "acme", *, at: datetime = NOW) -> None:
        """An account with so many lots of one credit in its first entry, as if all others were long past."""
        first = open_account(account, NO_QUOTA, actor="admin", catalog=self.catalog, now=at)
        lots = tuple(
            Lot(number=other, kind="promotion", granted=1, remaining=1, granted_at=at, expires_at=at + other * DAY)
            for other in range(1_000, 1_000 + number)
        )
        open_ledger(self.table, replace(first, after=replace(first.after, lots=lots)), {})

    def change_terms(self, terms: Terms, *, account: str = "acme", at: datetime = NOW) -> Appended:
        return self._append(account, ChangeTerms(actor="admin", terms=terms), at, None)

    def settle(self, *, account: str = "acme", at: datetime = NOW) -> Appended:
        return self._append(account, Settle(), at, None)

    def record(self, purchase: Purchase, *, key: str | None = None, session: ManagerSession | None = None) -> None:
        """Record a purchase with its own key and manager session. A given session needs its code: `has_manager`."""
        if session is None:
            self.has_manager(purchase.account)
            session = a_session(f"{purchase.account} {purchase.id}", purchase.account)
        record_purchase(self.table, purchase, key or f"buy {purchase.id}", session)

    def has_manager(self, account: str = "acme") -> None:
        """As if a first code had been set, which nobody knows."""
        numbers = {"version": 1, "revision": 1, "tries": 0, "locks": 0, "tried_at": 0}
        item: Item = {
            **keys.manager(account),
            "digest": {"B": b"none"},
            "salt": {"B": b"salt"},
            **{name: {"N": str(number)} for name, number in numbers.items()},
        }
        with suppress(ConditionFailed):
            put(self.table, {"Item": item, "ConditionExpression": IF_ABSENT})

    def receive(self, status: PaymentStatus, *, event: str = "evt_1", at: datetime = NOW) -> Outcome:
        """The result of an event when Stripe reports this status."""
        return self.follow(lambda: status, status.purchase, status.account, event=event, at=at)

    def follow(
        self,
        fetch_status: Callable[[], PaymentStatus | None],
        purchase: str = "pur_1",
        account: str = "acme",
        *,
        event: str = "evt_1",
        at: datetime = NOW,
    ) -> Outcome:
        """The result of an event when fetching the status returns this."""
        return sync_purchase(
            Sync(
                table=self.table,
                client=NO_STRIPE,
                catalog=lambda: self.catalog,
                stack="ours",
                now=at,
                on_quarantine=self.reported.append,
            ),
            PurchaseRef(account=account, purchase=purchase),
            lambda _: fetch_status(),
            reason=event,
        )

    def session(
        self, code: str, account: str = "acme", *, key: str | None = None, at: datetime = NOW
    ) -> tuple[str, ManagerSession]:
        """A session's token and the session, with a new key by default."""
        opened = self.open_session(code, account, key=key or f"open {uuid4().hex}", at=at)
        return opened.token, opened.session

    def open_session(
        self, code: str, account: str = "acme", *, key: str, codes: CodeSecrets = CODES, at: datetime = NOW
    ) -> OpenedSession:
        return open_session(self.table, account, NO_QUOTA, code, key, codes, now=at)

    def purchase(self, purchase_id: str = "pur_1", account: str = "acme") -> Purchase:
        found = read_purchase(self.table, account, purchase_id)
        assert found
        return found

    def granted_by(self, purchase_id: str = "pur_1") -> int | None:
        """The number of the entry that granted the purchase."""
        lots = self.purchase(purchase_id).lots
        return lots[0].number if lots else None

    def account(self, account: str = "acme") -> Account:
        """The account as its newest entry left it."""
        return read_tail(self.table, account).entry.after

    def _append(
        self,
        account: str,
        operation: Debit | PlaceHold | Grant | Void | ChangeTerms | Settle,
        at: datetime,
        key: str | None,
    ) -> Appended:
        return append(
            self.table,
            account,
            operation,
            catalog=self.catalog,
            now=at,
            idempotency_key=key,
            salt=secrets.token_bytes(SALT_BYTES),
        )


def a_purchase(purchase_id: str = "pur_1", account: str = "acme", **changes: Any) -> Purchase:
    purchase = Purchase(
        id=purchase_id,
        account=account,
        pack="credits-100",
        credits=100,
        amount=4990,
        currency="brl",
        valid_months=12,
        language="pt-BR",
        live=False,
        requested_by="shop",
        state="open",
        version=1,
        created_at=NOW - HOUR,
        changed_at=NOW - HOUR,
        session=f"cs_{purchase_id}",
        # What StoreDriver.record begins it with.
        key=key_digest(f"buy {purchase_id}"),
    )
    return replace(purchase, **changes)


def a_session(name: str = "a", account: str = "acme", **changes: Any) -> ManagerSession:
    session = ManagerSession(digest=f"digest of {name}", account=account, code_version=1, expires_at=NOW + HOUR)
    return replace(session, **changes)


def create_table(table: Table) -> Table:
    """Create this table, of a new name, with the schema that the template deploys. Returns it."""
    # On a busy machine the first response can be late: then the client's own retry finds the table.
    with suppress(table.client.exceptions.ResourceInUseException):
        table.client.create_table(TableName=table.name, **table_schema())
    return table


def stored(table: Table) -> Stored:
    """Every item of the table as it lies there, by key."""
    items: Stored = {}
    for page in table.client.get_paginator("scan").paginate(TableName=table.name, ConsistentRead=True):
        items |= {(item["PK"]["S"], item["SK"]["S"]): dict(item) for item in page["Items"]}
    return items


def entry_items(items: Stored, account: str = "acme") -> list[Item]:
    """The raw entries of an account, oldest first."""
    return [items[key] for key in sorted(items) if key[0] == f"ACCOUNT#{account}" and key[1].startswith("ENTRY#")]


def lines(items: Stored, account: str = "acme") -> list[dict[str, Any]]:
    """The lines of the raw entries, oldest first."""
    return [stored_form.line_of(item) for item in entry_items(items, account)]


def types(items: Stored, account: str = "acme") -> list[str]:
    return [line["type"] for line in lines(items, account)]


def due_keys(items: Stored) -> list[str]:
    return [sort for partition, sort in sorted(items) if partition.startswith("DUE#")]


def claim_keys(items: Stored) -> list[str]:
    return [partition for partition, _ in sorted(items) if partition.startswith("CLAIM#")]


def quarantined(items: Stored) -> list[tuple[str, list[str]]]:
    """The quarantined payments with their mismatches."""
    rows = [key for key in sorted(items) if key[0].startswith("QUARANTINE#")]
    return [(key[1], [name["S"] for name in items[key]["mismatches"]["L"]]) for key in rows]


def until_answered[T](ask: Callable[[], T]) -> T:
    """Retry as a client does: the same request, with the same key."""

    for _ in range(20):
        try:
            return ask()
        except Busy:
            continue
    raise AssertionError("never answered")
