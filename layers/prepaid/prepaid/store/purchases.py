"""Purchases: recorded before anybody can pay, moved by the payment provider's facts, granted exactly once."""

from datetime import datetime
from typing import Literal

from prepaid.core.catalogue import Catalogue
from prepaid.core.entry import Entry
from prepaid.core.errors import AccountNotFound
from prepaid.core.ledger import Grant
from prepaid.core.purchase import PaymentFact, Purchase, granted, grants, mismatches, moved
from prepaid.store import keys
from prepaid.store.dynamodb import (
    IF_ABSENT,
    Item,
    LostCondition,
    Patience,
    Table,
    Transient,
    attempts,
    get,
    put,
)
from prepaid.store.items import instant, milliseconds
from prepaid.store.ledger import Puts, append

ACTOR = "stripe"
PURCHASE = "purchase"
PAYMENT = "payment"

Outcome = Literal["granted", "moved", "unchanged", "quarantined"]


def record_purchase(table: Table, purchase: Purchase) -> None:
    """Keep a new purchase. Raises LostCondition when its id is taken, Transient."""
    put(table, {"Item": _to_item(purchase), "ConditionExpression": IF_ABSENT})


def read_purchase(table: Table, account_id: str, purchase_id: str) -> Purchase | None:
    """The purchase, if the account has it. Raises Transient."""
    item = get(table, keys.purchase(account_id, purchase_id))
    return _from_item(item) if item else None


def receive_fact(
    table: Table, fact: PaymentFact, *, catalogue: Catalogue, now: datetime, event_id: str, patience: Patience
) -> Outcome:
    """Do what the fact asks for: grant the credits once, move the purchase, nothing any more, or quarantine it.

    However often and in whatever order facts arrive, the outcome is the same (semantics 12). Raises Busy.
    """
    for _ in attempts(patience):
        try:
            purchase = read_purchase(table, fact.account, fact.purchase)
            wrong = mismatches(purchase, fact) if purchase else ("unknown_purchase",)
            if purchase is None or wrong:
                _quarantine(table, fact, wrong, event_id, now)
                return "quarantined"
            if grants(purchase, fact):
                return _grant_or_quarantine(table, purchase, fact, catalogue, now, event_id, patience)
            changed = moved(purchase, fact, now)
            if changed is None:
                return "unchanged"
            put(table, _purchase_put(changed))
            return "moved"
        except (LostCondition, Transient):
            # Lost on the purchase: another event moved it first, or this write's answer was lost. Look again.
            continue
    raise AssertionError("attempts() ends by raising")


def _grant_or_quarantine(
    table: Table,
    purchase: Purchase,
    fact: PaymentFact,
    catalogue: Catalogue,
    now: datetime,
    event_id: str,
    patience: Patience,
) -> Outcome:
    """The credits, unless their account was never opened or the money stands for another purchase already."""
    try:
        _grant(table, purchase, fact, catalogue, now, patience)
    except AccountNotFound:
        _quarantine(table, fact, ("account",), event_id, now)
        return "quarantined"
    except LostCondition as lost:
        if PAYMENT not in lost.found or PURCHASE in lost.found:
            raise
        _quarantine(table, fact, ("payment",), event_id, now)
        return "quarantined"
    return "granted"


def _grant(
    table: Table, purchase: Purchase, fact: PaymentFact, catalogue: Catalogue, now: datetime, patience: Patience
) -> None:
    """Credits, the purchase's new state and the money's pointer back to it, all or none."""

    def also(entries: tuple[Entry, ...]) -> Puts:
        puts = {PURCHASE: _purchase_put(granted(purchase, fact, entries[-1].number, now))}
        if fact.payment:
            puts[PAYMENT] = _payment_put(fact.payment, purchase)
        return puts

    append(
        table,
        purchase.account,
        # What was bought comes from the record, never from the event (semantics 11).
        Grant(
            actor=ACTOR,
            kind="purchase",
            credits=purchase.credits,
            validity=purchase.valid_months,
            description=purchase.pack,
            purchase=purchase.id,
        ),
        catalogue=catalogue,
        now=now,
        patience=patience,
        also=also,
    )


def _quarantine(table: Table, fact: PaymentFact, wrong: tuple[str, ...], event_id: str, now: datetime) -> None:
    """Keep a fact that doesn't fit its record for a person to look at. A repeat of the event writes the same row."""
    put(
        table,
        {
            "Item": {
                **keys.quarantine(now.date(), event_id),
                "mismatches": {"L": [{"S": name} for name in wrong]},
                "account": {"S": fact.account},
                "purchase": {"S": fact.purchase},
                "session": {"S": fact.session},
                "kind": {"S": fact.kind},
                "amount": {"N": str(fact.amount)},
                "currency": {"S": fact.currency},
                "live": {"BOOL": fact.live},
                "mode": {"S": fact.mode},
                "quantity": {"N": str(fact.quantity)},
                "at": {"N": str(milliseconds(now))},
            }
        },
    )


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
    optional: Item = {}
    if purchase.session is not None:
        optional["session"] = {"S": purchase.session}
    if purchase.payment is not None:
        optional["payment"] = {"S": purchase.payment}
    if purchase.granted_entry is not None:
        optional["granted_entry"] = {"N": str(purchase.granted_entry)}
    return {
        **keys.purchase(purchase.account, purchase.id),
        "id": {"S": purchase.id},
        "account": {"S": purchase.account},
        "pack": {"S": purchase.pack},
        "credits": {"N": str(purchase.credits)},
        "amount": {"N": str(purchase.amount)},
        "currency": {"S": purchase.currency},
        "valid_months": {"N": str(purchase.valid_months)},
        "live": {"BOOL": purchase.live},
        "state": {"S": purchase.state},
        "version": {"N": str(purchase.version)},
        "created_at": {"N": str(milliseconds(purchase.created_at))},
        "changed_at": {"N": str(milliseconds(purchase.changed_at))},
        **optional,
    }


def _from_item(item: Item) -> Purchase:
    return Purchase(
        id=item["id"]["S"],
        account=item["account"]["S"],
        pack=item["pack"]["S"],
        credits=int(item["credits"]["N"]),
        amount=int(item["amount"]["N"]),
        currency=item["currency"]["S"],
        valid_months=int(item["valid_months"]["N"]),
        live=item["live"]["BOOL"],
        state=item["state"]["S"],
        version=int(item["version"]["N"]),
        created_at=instant(int(item["created_at"]["N"])),
        changed_at=instant(int(item["changed_at"]["N"])),
        session=item["session"]["S"] if "session" in item else None,
        payment=item["payment"]["S"] if "payment" in item else None,
        granted_entry=int(item["granted_entry"]["N"]) if "granted_entry" in item else None,
    )
