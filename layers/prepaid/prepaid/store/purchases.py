"""Stored purchases: the record, the row that leads from a payment to its purchase, and the quarantine."""

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.errors import IdempotencyKeyReused
from prepaid.core.ids import PURCHASE_PREFIX
from prepaid.core.manager_code import ManagerSession
from prepaid.core.purchase import PAYABLE, PaymentStatus, Purchase, PurchaseState, Voucher
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, Item, Table, get, get_many, put, query, query_index, transact
from prepaid.store.items import (
    cancellation_request_hash,
    checksummed,
    key_digest,
    lots_from_text,
    lots_to_text,
    purchase_request_hash,
)
from prepaid.store.ledger import CLAIM
from prepaid.store.manager_codes import MANAGER, code_unchanged, use_session_put
from prepaid.store.reconciliation import pending_check_put

PURCHASE = "purchase"
PAYMENT = "payment"
PENDING_CHECK = "pending_check"
MANAGER_SESSION = "manager_session"
PAGE_PURCHASES = 100
# Sorts after every purchase id, because hexadecimal digits end at f.
NEWEST_PURCHASE = f"{PURCHASE_PREFIX}g"


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseRef:
    """The account and id of a purchase."""

    account: str
    purchase: str


def read_purchase(table: Table, account_id: str, purchase_id: str) -> Purchase | None:
    """The purchase, if the account has it. Raises Busy."""
    item = get(table, keys.purchase(account_id, purchase_id))
    return purchase_from_item(item) if item else None


def find_purchase_by_key(table: Table, account_id: str, idempotency_key: str, pack: str) -> Purchase | None:
    """The purchase that this key started, or None. Raises IdempotencyKeyReused, Busy."""
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None:
        return None
    if claim["request_hash"]["B"] != purchase_request_hash(pack):
        raise IdempotencyKeyReused
    return read_purchase(table, account_id, claim["purchase"]["S"])


def find_cancelled_by_key(table: Table, account_id: str, idempotency_key: str, purchase_id: str) -> Purchase | None:
    """The purchase that a request with this key cancelled, or None. Raises IdempotencyKeyReused, Busy."""
    claim = get(table, keys.claim(account_id, idempotency_key))
    if claim is None:
        return None
    if claim["request_hash"]["B"] != cancellation_request_hash(purchase_id):
        raise IdempotencyKeyReused
    return read_purchase(table, account_id, purchase_id)


def record_cancellation(table: Table, purchase: Purchase, idempotency_key: str) -> None:
    """Store a cancelled purchase over its previous version, with the claim of the request that cancelled it.

    Raises ConditionFailed naming "claim" or "purchase" if another request or an event was first; Busy.
    """
    claim = {
        **keys.claim(purchase.account, idempotency_key),
        "purchase": {"S": purchase.id},
        "request_hash": {"B": cancellation_request_hash(purchase.id)},
    }
    transact(
        table,
        {PURCHASE: purchase_put(purchase), CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT}},
    )


def record_purchase(table: Table, purchase: Purchase, idempotency_key: str, session: ManagerSession) -> Purchase:
    """Store a new purchase before its payment page exists, with its claim, used manager session and pending check.
    Returns the purchase as stored.

    Raises ConditionFailed naming "claim" or "manager_session" if another request took it first, or "manager" if a
    change of the code ended the session; Busy.
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
            # If its events are lost, the reconciliation still checks the purchase once it can no longer be paid.
            PENDING_CHECK: pending_check_put(purchase.account, purchase.id, purchase.created_at + PAYABLE),
        },
    )
    return purchase


def read_purchases(table: Table, account_id: str, *, before: str, limit: int) -> tuple[Purchase, ...]:
    """The account's purchases with ids below `before`, newest first. Raises Busy."""
    items = query(
        table,
        keys.ledger(account_id),
        first=keys.purchase_sort(""),
        last=keys.purchase_sort(before),
        # One more than `limit`: `before` itself is in the range.
        limit=min(limit, PAGE_PURCHASES) + 1,
        newest_first=True,
    )
    purchases = (purchase_from_item(item) for item in items)
    return tuple(purchase for purchase in purchases if purchase.id != before)[:limit]


def read_purchases_in(
    table: Table, state: PurchaseState, *, before: str, limit: int
) -> tuple[list[Purchase], str | None]:
    """At most `limit` purchases of all accounts that are in `state`, with ids below `before`, newest first; and the id
    below which there may be more, or None.

    The index lags by some milliseconds, so each purchase is read from the table: the states are current, but a purchase
    that has just reached this state may be missing. Raises Busy.
    """
    names = ("listed_as", "id")
    # One more than a page shows whether there is a next page.
    listed = query_index(
        table, keys.PURCHASES_BY_STATE, names, keys.purchases_in(state), before=before, limit=limit + 1
    )
    page = [{"PK": item["PK"], "SK": item["SK"]} for item in listed[:limit]]
    items = get_many(table, page, consistent=True)
    purchases = [purchase_from_item(items[key["PK"]["S"], key["SK"]["S"]]) for key in page]
    in_state = [purchase for purchase in purchases if purchase.state == state]
    return in_state, purchases[-1].id if len(listed) > limit else None


def find_payment(table: Table, payment: str) -> PurchaseRef | None:
    """The purchase that this payment paid for; None until its credits are granted. Raises Busy."""
    item = get(table, keys.payment(payment))
    return PurchaseRef(account=item["account"]["S"], purchase=item["purchase"]["S"]) if item else None


def save_purchase(table: Table, purchase: Purchase) -> None:
    """Store a purchase over its previous version. Raises ConditionFailed, Busy."""
    put(table, purchase_put(purchase))


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """A payment status that contradicts its purchase. mismatches: the names of the fields that differ.

    status: the provider's; None when the provider doesn't know a granted purchase.
    """

    ref: PurchaseRef
    mismatches: tuple[str, ...]
    status: PaymentStatus | None

    @property
    def id(self) -> str:
        """The same for every event, delivery and run that finds the same mismatches of the same payment."""
        subject = (self.status.payment or self.status.session) if self.status else self.ref.purchase
        return f"{subject}#{'+'.join(self.mismatches)}"


def is_quarantined(table: Table, misfit: Misfit) -> bool:
    """Whether the misfit was quarantined before. Raises Busy."""
    return get(table, keys.quarantine(misfit.id)) is not None


def quarantine(table: Table, misfit: Misfit, reason: str, now: datetime) -> None:
    """Store a misfit for an operator to examine. A misfit has one row, whoever finds it. Raises Busy.

    reason: the event or run that found it.
    """
    reported = {name: str(value) for name, value in asdict(misfit.status).items()} if misfit.status else {}
    item = {
        **keys.quarantine(misfit.id),
        "account": {"S": misfit.ref.account},
        "purchase": {"S": misfit.ref.purchase},
        "mismatches": {"L": [{"S": name} for name in misfit.mismatches]},
        "status": {"M": {name: {"S": value} for name, value in reported.items()}},
        "reason": {"S": reason},
        "at": {"N": str(milliseconds(now))},
    }
    put(table, {"Item": item})


def purchase_put(purchase: Purchase) -> Item:
    """The write of a purchase over its previous version."""
    return {
        "Item": _to_item(purchase),
        # Closes the race of two events of one purchase: the later one must have read the earlier one's state, so
        # credits are granted at most once.
        "ConditionExpression": "version = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(purchase.version - 1)}},
    }


def payment_put(payment: str, purchase: Purchase) -> Item:
    """The write of the row that leads from a payment to the one purchase it paid for."""
    return {
        "Item": {**keys.payment(payment), "account": {"S": purchase.account}, "purchase": {"S": purchase.id}},
        # Closes the race of two purchases with one payment: only the first one is paid.
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
        "requested_by": purchase.requested_by,
        "session": purchase.session,
        "checkout_url": purchase.checkout_url,
        "payment": purchase.payment,
        "key": purchase.key,
        "cancel_key": purchase.cancel_key,
        "voucher": _voucher_to_text(purchase.voucher) if purchase.voucher else None,
        "lots": lots_to_text(purchase.lots) or None,
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
        "expired_unspent": purchase.expired_unspent,
    }
    item = {
        **keys.purchase(purchase.account, purchase.id),
        "listed_as": {"S": keys.purchases_in(purchase.state)},
        **{name: {"S": text} for name, text in texts.items() if text is not None},
        **{name: {"N": str(number)} for name, number in numbers.items()},
        "live": {"BOOL": purchase.live},
        **({"cancelling": {"BOOL": True}} if purchase.cancelling else {}),
        **({"cancelled_at": {"N": str(milliseconds(purchase.cancelled_at))}} if purchase.cancelled_at else {}),
    }
    return checksummed(item)


def purchase_from_item(item: Item) -> Purchase:
    """The purchase stored in an item."""
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
        requested_by=text["requested_by"],
        state=text["state"],
        version=number["version"],
        created_at=instant(number["created_at"]),
        changed_at=instant(number["changed_at"]),
        session=text.get("session"),
        checkout_url=text.get("checkout_url"),
        payment=text.get("payment"),
        key=text.get("key"),
        cancelling="cancelling" in item,
        cancel_key=text.get("cancel_key"),
        cancelled_at=instant(number["cancelled_at"]) if "cancelled_at" in number else None,
        voucher=_voucher_from_text(text["voucher"]) if "voucher" in text else None,
        lots=lots_from_text(text.get("lots", "")),
        refunded=number["refunded"],
        disputed=number["disputed"],
        revoked=number["revoked"],
        debt=number["debt"],
        expired_unspent=number["expired_unspent"],
    )


def _voucher_to_text(voucher: Voucher) -> str:
    row = [voucher.method, voucher.code, milliseconds(voucher.expires_at), voucher.pdf]
    return json.dumps(row, separators=(",", ":"))


def _voucher_from_text(text: str) -> Voucher:
    method, code, expires_at, pdf = json.loads(text)
    return Voucher(method=method, code=code, expires_at=instant(expires_at), pdf=pdf)
