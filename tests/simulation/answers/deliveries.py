"""Answers to Stripe's deliveries: a 200 means that the purchase is where Stripe's objects are."""

from typing import TYPE_CHECKING

from fake_stripe.lifecycle import payment_failed
from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same
from tests.oracle.purchases import money_back
from tests.simulation.answers.answer_check import AnswerCheck
from tests.simulation.stage import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import World

FAILED = "checkout.session.async_payment_failed"


def check_deliver(it: AnswerCheck) -> None:
    off = abs(it.frame.now / 1000 - it.frame.details["signed_at"])
    if it.answer.status == 400:
        must(off > TOLERANCE_SECONDS, f"{it.about}: it was signed {off} s from now")
        it.world.seen["a delivery that is too old or too new"] += 1
        return
    same((it.answer.status, it.answer.body), (200, {"received": True}), it.about)
    must(off <= TOLERANCE_SECONDS, f"{it.about}: it was signed {off} s from now")
    event = it.frame.details["event"]
    known = it.world.purchase_of(event)
    if known is None:
        return
    # If the payment changed meanwhile, another event reports it, unless none is left to be delivered.
    others = [other for other in it.world.events if other is not event and it.world.purchase_of(other) is known]
    expired_moment = it.world.session_event_moments.get(known.record.get("session", ""), -1)
    moved = max(it.world.money_moved_moment, expired_moment) > it.frame.begun_moment
    if moved and not others and not it.world.lost:
        it.world.seen["money that moved meanwhile, and no later event about it"] += 1
    if not moved or not (others or it.world.lost):
        # Only its own event reports that a voucher expired, and it may not have arrived yet.
        failed = event["type"] == FAILED or not (it.world.lost or any(other["type"] == FAILED for other in others))
        check_up_to_date(it.world, known.record, it.about, failed=failed)


def check_up_to_date(world: "World", record: Json, about: str, *, failed: bool = True) -> None:
    """Require that a purchase matches Stripe's objects. failed: whether an event reported an expired voucher."""
    session = _session_of(world, record)
    about = f"{about}: {record['id']}"
    known = world.auditor.purchases[record["id"]]
    same(known.granted, bool(session and session["payment_status"] == "paid"), f"{about} is granted when it is paid")
    if not known.granted:
        possible = _unpaid_states(world, record, session, failed=failed)
        must(record["state"] in possible, f"{about} is {record['state']}, and should be {possible}")
        return
    _, refunded, disputed = world.auditor.money_back[record["payment"]][-1]
    expected = money_back(record, refunded, disputed)
    same((record["refunded"], record["disputed"]), expected, f"{about}: what went back")


def _session_of(world: "World", record: Json) -> Json | None:
    """A purchase's page at Stripe, whether or not the service received it."""
    for session in world.stripe.tables.get("checkout.session", {}).values():
        if session["metadata"]["prepaid_purchase"] == record["id"]:
            return dict(session)
    return None


def _unpaid_states(world: "World", record: Json, session: Json | None, *, failed: bool) -> set[str]:
    """The states that a purchase may be in while no money has come for it."""
    if session is None or (session["status"] == "open" and "session" not in record):
        return {"created"}
    if session["status"] == "expired" and (record.get("cancelling") or "cancel_key" in record):
        return {"cancelled"}
    if session["status"] != "complete":
        return {str(session["status"])}
    if not payment_failed(world.stripe, session):
        return {"pending"}
    return {"failed"} if failed else {"failed", "pending"}
