"""What the customer sees of a purchase: its state, or that its page or voucher has expired."""

from datetime import datetime
from typing import Literal

from prepaid.core.purchase import Purchase, PurchaseState, can_open

# waiting: for the payment of a voucher. voucher_ended, page_ended: it has expired, and no event has reported that yet.
View = Literal["waiting", "voucher_ended", "page_ended"] | PurchaseState

# The page's script keeps checking for a change, because a payment can arrive even after a failure.
LIVE_VIEWS = frozenset[View]({"created", "open", "waiting", "voucher_ended", "page_ended", "paid", "failed", "expired"})
# Without a script, the page reloads itself for as long as a person is likely to wait.
RELOADED_VIEWS = frozenset[View]({"open", "waiting"})


def view_of(purchase: Purchase, now: datetime) -> View:
    """What to show of a purchase now."""
    if purchase.state == "pending":
        ended = purchase.voucher is not None and purchase.voucher.expires_at <= now
        return "voucher_ended" if ended else "waiting"
    return "page_ended" if purchase.state == "open" and not can_open(purchase, now) else purchase.state


def unfinished(purchases: tuple[Purchase, ...], pack: str, now: datetime) -> Purchase | None:
    """The newest of the purchases, given newest first, that buys the pack and waits for its payment."""
    for purchase in purchases:
        if purchase.pack == pack and (can_open(purchase, now) or view_of(purchase, now) == "waiting"):
            return purchase
    return None
