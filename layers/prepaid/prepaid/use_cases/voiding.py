"""Voiding: take back what remains of a grant (rule 19)."""

from datetime import datetime

from prepaid.core.catalog import Catalog
from prepaid.core.errors import GrantNotFound, PurchaseNotVoidable
from prepaid.core.ledger import Void
from prepaid.store.dynamodb import Table
from prepaid.store.ledger import Appended, append, find_entry, find_replay, read_tail


def void_grant(
    table: Table,
    account_id: str,
    void: Void,
    *,
    catalog: Catalog,
    now: datetime,
    idempotency_key: str,
    salt: bytes,
) -> Appended:
    """Take back credits of the grant that entry `void.lot` recorded, at most once per key. salt: sixteen random bytes.

    Raises AccountNotFound, GrantNotFound, PurchaseNotVoidable, ExceedsRemaining, IdempotencyKeyReused, Busy.
    """
    # Entries never change, so this one is the same when the void is written.
    entry = find_entry(table, account_id, void.lot)
    lot = entry.lot if entry else None
    if lot is None or lot.kind == "purchase":
        # A missing account and a key that was used for another request are reported first, as on every route.
        read_tail(table, account_id)
        find_replay(table, account_id, void, idempotency_key)
        raise PurchaseNotVoidable if lot else GrantNotFound
    return append(table, account_id, void, catalog=catalog, now=now, idempotency_key=idempotency_key, salt=salt)
