"""What happens at Stripe, and what Stripe delivers."""

import hmac
import json
from typing import Any

from fake_stripe import lifecycle, money_back
from fake_stripe.errors import StripeError
from tests.oracle.catalog import Json
from tests.simulation.frames import Answer, ClientRequest
from tests.simulation.stage import WEBHOOK_SECRET
from tests.simulation.step import Step
from tests.simulation.world import World
from tests.support.api import WEBHOOK

# Of those that wait to be delivered, at most.
ALL_EVENTS = 8


def pay(world: World, step: Step) -> None:
    """A customer pays, chooses a method, leaves, or pays too late."""
    lifecycle.expire_due(world.stripe)
    how = step["how"]
    fitting = PAYABLE.get(how, PAYABLE["card"])
    found = [session for session in world.stripe.newest_first("checkout.session") if fitting(world, session)]
    happen(world, step, found, lambda session: PAYING[how](world.stripe, session["id"]))


PAYABLE: dict[str, Any] = {
    "card": lambda _, session: session["status"] == "open",
    "fail": lambda world, session: lifecycle.waiting(session) and not lifecycle.payment_failed(world.stripe, session),
    "late": lambda world, session: session["status"] == "expired" or lifecycle.payment_failed(world.stripe, session),
    "pix": lambda world, session: session["status"] == "open" or PAYABLE["fail"](world, session),
}
PAYABLE["boleto"] = PAYABLE["pix"]
PAYING: dict[str, Any] = {
    "card": lambda state, session: lifecycle.pay(state, session, "card"),
    "pix": lambda state, session: lifecycle.pay(state, session, _method(state, session, "pix")),
    "boleto": lambda state, session: lifecycle.pay(state, session, _method(state, session, "boleto")),
    "confirm": lambda state, session: lifecycle.confirm(state, session, "pix"),
    "fail": lifecycle.fail,
    "late": lifecycle.pay_after_expiry,
    "expire": lifecycle.expire,
}


def _method(state: Any, session: str, wanted: str) -> str:
    return state.baskets[session].method or wanted


def happen(world: World, step: Step, found: list[Json], what: Any) -> None:
    """Change one of the objects at Stripe to which this can happen."""
    if not found:
        world.nothing(step)
        return
    world.money_moved_moment = world.moment
    try:
        what(found[step.get("back", 0) % len(found)])
    except StripeError:
        world.nothing(step)
    world.auditor.note_money_back()


def refund(world: World, step: Step) -> None:
    found = [charge for charge in world.stripe.newest_first("charge") if charge["paid"] and not charge["refunded"]]

    def give_back(charge: Json) -> None:
        left = charge["amount"] - charge["amount_refunded"]
        money_back.refund(world.stripe, charge["id"], max(1, left // step["part"]), step["status"])

    happen(world, step, found, give_back)


REFUND_ENDS: dict[str, Any] = {
    "fails": money_back.fail_refund,
    "succeeds": money_back.succeed_refund,
    "is cancelled": money_back.cancel_refund,
}


def refund_ends(world: World, step: Step) -> None:
    """It fails, perhaps days after it succeeded; or a pending one succeeds or is cancelled."""
    end = REFUND_ENDS[step["how"]]
    wanted = {*money_back.UNFINISHED, "succeeded"} if end is money_back.fail_refund else money_back.UNFINISHED
    found = [refund for refund in world.stripe.newest_first("refund") if refund["status"] in wanted]
    happen(world, step, found, lambda refund: end(world.stripe, refund["id"]))


def dispute(world: World, step: Step) -> None:
    disputes = world.stripe.newest_first("dispute")
    held = {dispute["charge"] for dispute in disputes if dispute["status"] in {*money_back.OPEN_DISPUTES, "lost"}}
    found = [charge for charge in world.stripe.newest_first("charge") if charge["paid"] and charge["id"] not in held]

    def open_dispute(charge: Json) -> None:
        amount = max(1, charge["amount"] // step["part"])
        money_back.dispute(world.stripe, charge["id"], amount=amount, inquiry=step["inquiry"])

    happen(world, step, found, open_dispute)


def dispute_ends(world: World, step: Step) -> None:
    found = [
        dispute for dispute in world.stripe.newest_first("dispute") if dispute["status"] in money_back.OPEN_DISPUTES
    ]

    def end(dispute: Json) -> None:
        if step["how"] == "evidence":
            money_back.submit_evidence(world.stripe, dispute["id"], {"receipt": "a receipt"}, submit=True)
        else:
            money_back.close_dispute(world.stripe, dispute["id"], step["how"])

    happen(world, step, found, end)


def deliver(world: World, step: Step) -> None:
    """Stripe delivers an event: the next, another one, or one that was delivered before."""
    which = step["which"]
    events = world.old_events if which == "old" else world.events
    if not events:
        world.nothing(step)
        return
    if which == "all":
        for event in events[-ALL_EVENTS:]:
            deliver_event(world, step, event)
        return
    place = {"first": 0, "last": -1}.get(which, step["place"] % len(events))
    deliver_event(world, step, events[place], late=step["late"])


def deliver_event(world: World, step: Step, event: Json, *, late: int = 0) -> Answer | None:
    """One delivery. Stripe retries it until it gets a 2xx."""
    body = json.dumps(event)
    signed_at = world.moment // 1000 - late
    mac = hmac.new(WEBHOOK_SECRET.encode(), f"{signed_at}.{body}".encode(), "sha256").hexdigest()
    headers = (("content-type", "application/json"), ("stripe-signature", f"t={signed_at},v1={mac}"))
    details: Json = {"raw": body, "event": event, "signed_at": signed_at}
    answer = world.ask(step, ClientRequest("deliver", WEBHOOK, "", headers=headers, details=details))
    if answer is None and event not in world.events:
        # Another delivery of it was acknowledged meanwhile: Stripe won't retry this one.
        world.lost += 1
    if answer and answer.status == 200 and event in world.events:
        world.events.remove(event)
        world.old_events.append(event)
    return answer


def lose(world: World, step: Step) -> None:
    """An event is never delivered."""
    if not world.events:
        world.nothing(step)
        return
    del world.events[step["place"] % len(world.events)]
    world.lost += 1
    world.seen["an event that was lost"] += 1
