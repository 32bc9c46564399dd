"""The dashboard's values: the sessions, their refunds and disputes, and the deliveries."""

from typing import Any

from fake_stripe.errors import Json
from fake_stripe.lifecycle import page_state
from fake_stripe.state import State
from fake_stripe.webhooks import Webhooks

SHOWN_SESSIONS = 50
SHOWN_DELIVERIES = 40
CLOSED_DISPUTES = ("won", "lost", "warning_closed")


def values(state: State, webhooks: Webhooks) -> dict[str, Any]:
    """Return the values for dashboard.html. The caller holds the state's lock."""
    with webhooks.changed:
        url, running = webhooks.settings.url, webhooks.settings.running
    return {
        "rows": [_row(state, session) for session in state.newest_first("checkout.session")[:SHOWN_SESSIONS]],
        "webhook_url": url,
        "running": running,
        "attempts": webhooks.attempts()[::-1][:SHOWN_DELIVERIES],
        "closed_disputes": CLOSED_DISPUTES,
    }


def _row(state: State, session: Json) -> dict[str, Any]:
    intent = state.tables.get("payment_intent", {}).get(session["payment_intent"] or "")
    return {
        "session": dict(session),
        "items": state.baskets[session["id"]].items,
        "state": page_state(session, intent),
        "refundable": _refundable(state, intent),
        "refunds": _of_intent(state, "refund", session["payment_intent"]),
        "disputes": _of_intent(state, "dispute", session["payment_intent"]),
    }


def _refundable(state: State, intent: Json | None) -> int:
    if not intent or not intent["latest_charge"]:
        return 0
    charge = state.find("charge", intent["latest_charge"])
    return int(charge["amount"] - charge["amount_refunded"])


def _of_intent(state: State, kind: str, intent_id: str | None) -> list[Json]:
    """The refunds or disputes of a payment intent, oldest first."""
    if intent_id is None:
        return []
    return [dict(record) for record in reversed(state.newest_first(kind)) if record["payment_intent"] == intent_id]
