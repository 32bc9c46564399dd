"""The core's values as the ledger stores them: what the oracle takes and what it is compared with."""

from dataclasses import asdict
from typing import Any

from prepaid.core.account import Account
from prepaid.core.calendar import milliseconds
from prepaid.core.catalog import Catalog
from prepaid.core.errors import InsufficientCredits
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ledger import ChangeTerms, Debit, Grant, Restore, Revoke, Settle, Void
from prepaid.core.reversing import Reverse
from prepaid.store.items import hold_to_texts, lot_to_text
from tests.oracle import requests
from tests.oracle.account import State
from tests.oracle.catalog import CatalogVersion
from tests.oracle.stored_form import hold_row, lot_row


def state_of(account: Account) -> State:
    return State(
        terms=asdict(account.terms),
        used=dict(account.quotas_used),
        renews_at=milliseconds(account.quota_renews_at),
        lots=tuple(lot_row(lot_to_text(lot)) for lot in account.lots),
        owed=account.owed,
        holds=tuple(hold_row(hold_to_texts(hold)) for hold in account.holds),
    )


def catalog_version(catalog: Catalog) -> CatalogVersion:
    return CatalogVersion.of(asdict(catalog))


type Requested = Debit | PlaceHold | Capture | Release | Reverse | Grant | Void | ChangeTerms | Settle


def request_of(operation: Requested) -> requests.Request:
    """The same request in the oracle's form."""
    match operation:
        case Debit() | PlaceHold() | Capture() | Release() | Reverse():
            return _use_of(operation)
        case Grant():
            validity = operation.validity
            ends: dict[str, Any] = (
                {"months": validity} if isinstance(validity, int) else {"expires_at": milliseconds(validity)}
            )
            return requests.Grant(
                actor=operation.actor,
                kind=operation.kind,
                credits=operation.credits,
                description=operation.description,
                purchase=operation.purchase,
                **ends,
            )
        case Void():
            return requests.Void(
                actor=operation.actor,
                lot=operation.lot,
                credits=operation.credits,
                description=operation.description,
            )
        case ChangeTerms():
            return requests.PutTerms(actor=operation.actor, terms=asdict(operation.terms))
        case Settle():
            return requests.Settle()


def _use_of(operation: Debit | PlaceHold | Capture | Release | Reverse) -> requests.Request:
    match operation:
        case Debit():
            return requests.Debit(actor=operation.actor, feature=operation.feature, quantity=operation.quantity)
        case PlaceHold():
            return requests.PlaceHold(
                actor=operation.actor,
                feature=operation.feature,
                quantity=operation.quantity,
                ttl_seconds=operation.ttl_seconds,
            )
        case Capture():
            return requests.Capture(actor=operation.actor, hold=operation.hold, quantity=operation.quantity)
        case Release():
            return requests.Release(actor=operation.actor, hold=operation.hold)
        case Reverse():
            return requests.Reverse(
                actor=operation.actor,
                entry=operation.entry,
                quantity=operation.quantity,
                description=operation.description,
            )


def money_back_of(operation: Revoke | Restore, revoked: int) -> requests.MoneyBack:
    """revoked: of the purchase, once the operation is carried out."""
    return requests.MoneyBack(actor=operation.actor, type=operation.cause, purchase=operation.purchase, revoked=revoked)


def facts_of(refused: Exception) -> dict[str, object]:
    """The facts of a refusal in the oracle's form."""
    assert isinstance(refused, InsufficientCredits)
    return {
        "needed": refused.needed,
        "available": refused.available,
        "quota_remaining": refused.quota_remaining,
        "renews_at": milliseconds(refused.renews_at) if refused.renews_at else None,
        "suggested_pack": refused.suggested_pack,
    }
