"""Purchases: recorded before anybody can pay, brought step by step to what the payment provider says, granted once."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from prepaid.core.account import Lot, remaining_in
from prepaid.core.catalog import Catalog
from prepaid.core.entry import Entry
from prepaid.core.errors import IdempotencyKeyReused
from prepaid.core.ledger import Grant, Revoke
from prepaid.core.manager_code import ManagerSession
from prepaid.core.purchase import (
    PaymentStatus,
    Purchase,
    Step,
    as_paid_unmatched,
    mismatches,
    needs_revocation,
    next_step,
    with_result,
)
from prepaid.store import keys
from prepaid.store.dynamodb import (
    IF_ABSENT,
    ConditionFailed,
    Item,
    Patience,
    Table,
    Transient,
    attempts,
    get,
    persist,
    put,
    query,
    transact,
)
from prepaid.store.items import (
    checksummed,
    instant,
    key_digest,
    lot_from_row,
    lot_to_row,
    milliseconds,
    purchase_request_hash,
)
from prepaid.store.ledger import CLAIM, Puts, append, find_entry_at, read_tail
from prepaid.store.managers import MANAGER, code_unchanged, use_session_put
from prepaid.store.reconciliation import PAYABLE, pending_check_put

PURCHASE = "purchase"
PAYMENT = "payment"
REVIEW = "review"
MANAGER_SESSION = "manager_session"
# Pay, refund, dispute: no truth of the provider's is further away than a few steps.
MAX_STEPS = 4
PAGE_PURCHASES = 100
# Entries are dated in whole milliseconds.
INSTANT = timedelta(milliseconds=1)

Outcome = Literal["changed", "unchanged", "ignored", "quarantined"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRef:
    """Where a purchase is kept."""

    account: str
    purchase: str


def read_purchase(table: Table, account_id: str, purchase_id: str) -> Purchase | None:
    """The purchase, if the account has it. Raises Transient."""
    item = get(table, keys.purchase(account_id, purchase_id))
    return purchase_from_item(item) if item else None


def find_purchase_by_key(table: Table, account_id: str, idempotency_key: str, pack: str) -> Purchase | None:
    """The purchase that this key began, if any. Raises IdempotencyKeyReused, Transient."""
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None:
        return None
    if claim["request_hash"]["B"] != purchase_request_hash(pack):
        raise IdempotencyKeyReused
    return read_purchase(table, account_id, claim["purchase"]["S"])


def record_purchase(table: Table, purchase: Purchase, idempotency_key: str, session: ManagerSession) -> Purchase:
    """Keep a new purchase before its payment page exists: record, claim, spent manager session, its review. Answers
    the purchase as it is kept.

    Raises ConditionFailed naming "claim" or "manager_session" when a rival took it, "manager" when the code was changed
    and so ended the session; Transient.
    """
    purchase = replace(purchase, key=key_digest(idempotency_key))
    claim = {
        **keys.claim(purchase.account, idempotency_key),
        "purchase": {"S": purchase.id},
        "request_hash": {"B": purchase_request_hash(purchase.pack)},
    }
    transact(
        table,
        {
            PURCHASE: {"Item": _to_item(purchase), "ConditionExpression": IF_ABSENT},
            CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT},
            MANAGER_SESSION: use_session_put(session, purchase.id),
            MANAGER: code_unchanged(purchase.account, session.code_version),
            # Whatever was lost of what became of it, it is looked at when nobody can pay it any more.
            REVIEW: pending_check_put(purchase.account, purchase.id, purchase.created_at + PAYABLE),
        },
    )
    return purchase


def save_page(table: Table, purchase: Purchase) -> None:
    """Keep the payment page of a purchase that was read one version ago. Raises ConditionFailed, Transient."""
    put(table, _purchase_put(purchase))


def read_purchases(table: Table, account_id: str, *, before: str, limit: int) -> tuple[Purchase, ...]:
    """The account's purchases with ids below `before`, newest first. Raises Transient."""
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.purchase_sort(""),
        last=keys.purchase_sort(before),
        # One more than asked: `before` itself lies in the range.
        limit=min(limit, PAGE_PURCHASES) + 1,
        newest_first=True,
    )
    purchases = (purchase_from_item(item) for item in items)
    return tuple(purchase for purchase in purchases if purchase.id != before)[:limit]


def find_payment(table: Table, payment: str) -> PurchaseRef | None:
    """The purchase that this money paid for, once it was granted. Raises Transient."""
    item = get(table, keys.payment(payment))
    return PurchaseRef(account=item["account"]["S"], purchase=item["purchase"]["S"]) if item else None


def sync_purchase(
    table: Table,
    pointer: PurchaseRef,
    look: Callable[[], PaymentStatus | None],
    *,
    catalog: Catalog,
    now: datetime,
    reason: str,
    patience: Patience,
) -> Outcome:
    """Do what the provider's truth asks for, or quarantine what doesn't fit the record (rule 12).

    look: asks the provider now; None when it knows nothing that concerns us. reason: the event or run, for quarantine.
    Raises Busy, and what `look` raises.
    """
    outcome: Outcome = "unchanged"
    status: PaymentStatus | None = None
    for _ in attempts(patience):
        try:
            # In this order: whoever changes the record in between makes our write lose, so nothing that was asked
            # earlier can undo what was asked later.
            purchase = read_purchase(table, pointer.account, pointer.purchase)
            status = look()
            if status is None and not (purchase and purchase.granted):
                return "ignored"
            wrong = mismatches(purchase, status)
            if purchase is None or status is None or wrong:
                _put_aside(table, pointer, purchase, wrong, status, reason, now)
                return "quarantined"
            for _ in range(MAX_STEPS):
                money_was_back = purchase.granted
                seen = (
                    _look_for_lapsed(table, purchase, now, patience)
                    if needs_revocation(purchase, status)
                    else NOTHING_SEEN
                )
                step = next_step(purchase, status, now, lapsed=seen.lapsed)
                if step is None:
                    return outcome
                purchase = _take(table, purchase, step, seen, catalog, now, patience)
                outcome = "changed"
                if money_was_back:
                    # Money that moved on before we wrote found the old record to be right and its event done. Nobody
                    # tells us again, so what we heard last must be newer than what we wrote last.
                    break
        except ConditionFailed as failed:
            if PAYMENT in failed.existing and PURCHASE not in failed.existing and status is not None:
                # The money pays for another purchase already.
                persist(patience, quarantine, table, pointer, ("payment",), status, reason, now)
                return "quarantined"
        except Transient:
            continue
    raise AssertionError("attempts() ends by raising")


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the ledger says of a purchase's lots: credits that they lost unspent at their end, up to entry `number`."""

    number: int
    lapsed: int


NOTHING_SEEN = _Seen(number=0, lapsed=0)


def _look_for_lapsed(table: Table, purchase: Purchase, now: datetime, patience: Patience) -> _Seen:
    """One read, and a search for each lot that has ended. Raises AccountNotFound, Transient, Busy."""
    newest = read_tail(table, purchase.account).entry
    lapsed = 0
    for lot in purchase.lots:
        if _has_ended(lot, max(now, newest.at)):
            # The last entry before the lot's end still has what nobody had spent by then.
            before = find_entry_at(table, purchase.account, newest, lot.expires_at - INSTANT, patience)
            lapsed += remaining_in(before.after, lot) if before else 0
    return _Seen(newest.number, lapsed)


def _has_ended(lot: Lot, at: datetime) -> bool:
    return lot.expires_at <= at


def _take(
    table: Table, before: Purchase, step: Step, seen: _Seen, catalog: Catalog, now: datetime, patience: Patience
) -> Purchase:
    """One step: the purchase's new state and its entry, all or none. Raises ConditionFailed, Transient, Busy."""
    if step.operation is None:
        put(table, _purchase_put(step.purchase))
        return step.purchase
    after = step.purchase

    def also(entries: tuple[Entry, ...]) -> Puts:
        nonlocal after
        first, last = entries[0], entries[-1]
        overtaken = isinstance(step.operation, Revoke) and first.number != seen.number + 1
        if overtaken and any(_has_ended(lot, last.at) for lot in before.lots):
            # Closes the race of a rival that spends from a lot, by a clock that is behind, after we looked what the
            # lot had left at its end: look again.
            raise ConditionFailed({})
        after = with_result(step, last)
        puts = {PURCHASE: _purchase_put(after)}
        if after.payment and after.payment != before.payment:
            puts[PAYMENT] = _payment_put(after.payment, after)
        if isinstance(step.operation, Grant):
            # Each grant is compared with its payment from our side too, however long ago its purchase began.
            puts[REVIEW] = pending_check_put(after.account, after.id, now)
        return puts

    append(table, before.account, step.operation, catalog=catalog, now=now, patience=patience, also=also)
    return after


def _put_aside(
    table: Table,
    pointer: PurchaseRef,
    purchase: Purchase | None,
    wrong: tuple[str, ...],
    status: PaymentStatus | None,
    reason: str,
    now: datetime,
) -> None:
    """Quarantine, and say on the purchase that its money came. Raises ConditionFailed, Transient."""
    # The row first: whoever is killed in between is told again, and finds a purchase that still wants to be told.
    quarantine(table, pointer, wrong, status, reason, now)
    waiting = as_paid_unmatched(purchase, status, now) if purchase and status else None
    if waiting:
        put(table, _purchase_put(waiting))


def quarantine(
    table: Table, pointer: PurchaseRef, wrong: tuple[str, ...], status: PaymentStatus | None, reason: str, now: datetime
) -> None:
    """Keep what doesn't fit a purchase's record for a person to look at; a repeat writes the same row.

    status: what the provider said; None when it knows nothing of a purchase that was granted. Raises Transient.
    """
    said = {name: str(value) for name, value in asdict(status).items()} if status else {}
    item = {
        **keys.quarantine(now.date(), f"{reason}#{pointer.purchase}"),
        "account": {"S": pointer.account},
        "purchase": {"S": pointer.purchase},
        "mismatches": {"L": [{"S": name} for name in wrong]},
        "status": {"M": {name: {"S": value} for name, value in said.items()}},
        "at": {"N": str(milliseconds(now))},
    }
    put(table, {"Item": item})


def _purchase_put(purchase: Purchase) -> Item:
    return {
        "Item": _to_item(purchase),
        # Closes the race of two events of one purchase: the later one must have seen the earlier one's state, so
        # credits are granted at most once.
        "ConditionExpression": "version = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(purchase.version - 1)}},
    }


def _payment_put(payment: str, purchase: Purchase) -> Item:
    return {
        "Item": {**keys.payment(payment), "account": {"S": purchase.account}, "purchase": {"S": purchase.id}},
        # One payment pays for one purchase.
        "ConditionExpression": IF_ABSENT,
    }


def _to_item(purchase: Purchase) -> Item:
    texts = {
        "id": purchase.id,
        "account": purchase.account,
        "pack": purchase.pack,
        "currency": purchase.currency,
        "state": purchase.state,
        "language": purchase.language,
        "session": purchase.session,
        "checkout_url": purchase.checkout_url,
        "payment": purchase.payment,
        "key": purchase.key,
        "lots": json.dumps([lot_to_row(lot) for lot in purchase.lots], separators=(",", ":")),
    }
    numbers = {
        "credits": purchase.credits,
        "amount": purchase.amount,
        "valid_months": purchase.valid_months,
        "version": purchase.version,
        "created_at": milliseconds(purchase.created_at),
        "changed_at": milliseconds(purchase.changed_at),
        "refunded": purchase.refunded,
        "disputed": purchase.disputed,
        "revoked": purchase.revoked,
        "debt": purchase.debt,
        "lapsed": purchase.lapsed,
    }
    item = {
        **keys.purchase(purchase.account, purchase.id),
        **{name: {"S": text} for name, text in texts.items() if text is not None},
        **{name: {"N": str(number)} for name, number in numbers.items()},
        "live": {"BOOL": purchase.live},
    }
    return checksummed(item)


def purchase_from_item(item: Item) -> Purchase:
    """The purchase an item holds."""
    text = {name: value["S"] for name, value in item.items() if "S" in value}
    number = {name: int(value["N"]) for name, value in item.items() if "N" in value}
    return Purchase(
        id=text["id"],
        account=text["account"],
        pack=text["pack"],
        credits=number["credits"],
        amount=number["amount"],
        currency=text["currency"],
        valid_months=number["valid_months"],
        language=text["language"],
        live=item["live"]["BOOL"],
        state=text["state"],
        version=number["version"],
        created_at=instant(number["created_at"]),
        changed_at=instant(number["changed_at"]),
        session=text.get("session"),
        checkout_url=text.get("checkout_url"),
        payment=text.get("payment"),
        key=text.get("key"),
        lots=tuple(lot_from_row(row) for row in json.loads(text["lots"])),
        refunded=number["refunded"],
        disputed=number["disputed"],
        revoked=number["revoked"],
        debt=number["debt"],
        lapsed=number["lapsed"],
    )
