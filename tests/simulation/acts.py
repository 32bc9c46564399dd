"""What each kind of step does, in a world as it is then: which request, to whom, with which key."""

import hmac
import json
from dataclasses import replace
from typing import Any

from fake_stripe import lifecycle, money_back
from fake_stripe.errors import StripeError
from tests.simulation.auditor import Deal, plain
from tests.simulation.bodies import entries_shown, next_cursor
from tests.simulation.books import EXPIRES_AT, Json
from tests.simulation.stage import TABLE, WEBHOOK_SECRET
from tests.simulation.steps import DAY, Step
from tests.simulation.world import ACCOUNT, ANYBODY, CODES, FUNCTIONS, KEPT_REQUESTS, Answer, Asked, World
from tests.support.gateway_events import ADMIN, BUYER

PAIRS = {
    "tiny": (3, 500, 1),
    "small": (10, 990, 2),
    "odd": (7, 1999, 12),
    "big": (60, 4990, 12),
    "gone": (5, 700, 1),
}
NAMES = ("Pet & Cia", "Bicho Bão", "Au au")
# Of those that wait to be delivered, at most.
ALL_EVENTS = 8
# What a client that was not answered, or told to wait, will ask again.
WAITING = {None, 503}


def act(world: World, step: Step) -> None:
    """Let a step happen."""
    ACTS[step.kind](world, step)


def account_of(step: Step) -> str:
    """Its id, which it puts into every text that it gives: where others are answered, it must not be read."""
    return f"shop-{step.of}"


def ask(world: World, step: Step, asked: Asked) -> Answer | None:
    """A client's request, remembered for when it is repeated."""
    slot: list[Answer | None] = [None]
    if asked.key:
        world.requests.append((asked, slot))
        del world.requests[:-KEPT_REQUESTS]
    slot[0] = answer = world.ask(step, asked)
    if answer and asked.kind == "unlock" and answer.status == 201:
        world.tokens.setdefault(asked.account, []).append(answer.body["manager_session"])
    return answer


def new_key(world: World) -> str:
    world.keys += 1
    return f"key-{world.keys}"


# Spending and giving


def debit(world: World, step: Step) -> None:
    account = account_of(step)
    feature, quantity = step["feature"], _quantity(world, step, account)
    body: Json = {"feature": feature, "quantity": quantity}
    if step.get("reference"):
        body |= {"reference": f"{step['reference']} {account}", "customer": f"=customer of {account}"}
    ask(world, step, debit_of(account, new_key(world), body))


def debit_of(account: str, key: str, body: Json) -> Asked:
    signature = ("consumption", *(body.get(name) for name in ("feature", "quantity", "customer", "reference")))
    return Asked("debit", f"POST {ACCOUNT}/consumptions", account, body, key, ANYBODY, asked=body, signature=signature)


def _quantity(world: World, step: Step, account: str) -> int:
    """How many units: so many, or as many as there is credit or quota for."""
    wanted = step["quantity"]
    if isinstance(wanted, int):
        return int(wanted)
    book = world.book(account)
    if not book.number:
        return 1
    state = book.state.at(max(world.now(step), book.time))
    goods = world.auditor.goods[world.auditor.in_force[-1][1]]
    left: int = state.left_for(step["feature"], goods)
    price: int = goods.prices.get(step["feature"], 1)
    many = left if wanted == "quota" or not price else left + state.available // price
    return min(10_000, max(1, many + int(wanted == "one more")))


def grant(world: World, step: Step) -> None:
    account = account_of(step)
    reason = f"because of {account}"
    body: Json = {"credits": step["credits"], "kind": step["lot"], "reason": reason}
    asked: Json = {"credits": step["credits"], "description": reason, "months": 12}
    lasting = step["lasting"]
    if isinstance(lasting, int):
        body["valid_months"] = asked["months"] = lasting
    elif lasting is not None:
        asked["expires_at"] = _end(world, step, account, lasting)
        body["expires_at"] = world.text(asked["expires_at"])
    ask(world, step, grant_of(account, new_key(world), body, asked))


def grant_of(account: str, key: str, body: Json, asked: Json) -> Asked:
    signature = ("grant", json.dumps(body, sort_keys=True))
    return Asked("grant", f"POST {ACCOUNT}/grants", account, body, key, ADMIN, asked=asked, signature=signature)


def _end(world: World, step: Step, account: str, lasting: str) -> int:
    now, lots = world.now(step), world.book(account).states[-1:]
    if lasting == "as another" and lots and lots[0].lots:
        return int(lots[0].lots[-1][EXPIRES_AT])
    return now + {"soon": 90_000, "past": 0, "day": DAY}.get(lasting, 2 * DAY)


def again(world: World, step: Step) -> None:
    """The same key again, for the same request or another."""
    how, account = step["how"], account_of(step)
    own = [one for one in world.requests if one[0].account == account or how in {"unanswered", "any"}]
    if how == "unanswered":
        own = [one for one in own if (one[1][0].status if one[1][0] else None) in WAITING]
    if how == "refused":
        own = [one for one in own if one[1][0] and one[1][0].status == 402]
    if not own:
        world.nothing(step)
        return
    asked, _ = own[-1 - step["back"] % len(own)]
    ask(world, step, other(world, asked, how, account))


def other(world: World, asked: Asked, how: str, account: str) -> Asked:
    """What is asked with a key that was used: the very same, or something that only looks like it."""
    if how == "other" and asked.kind == "debit":
        assert asked.body is not None
        return debit_of(asked.account, asked.key, asked.body | {"quantity": asked.body["quantity"] % 9_999 + 1})
    if how == "crossed":
        if asked.kind == "debit":
            reason = f"because of {asked.account}"
            body: Json = {"credits": 2, "kind": "promotion", "reason": reason}
            return grant_of(asked.account, asked.key, body, {"credits": 2, "description": reason, "months": 12})
        return debit_of(asked.account, asked.key, {"feature": "sticker", "quantity": 1})
    if how == "stranger" and asked.kind in {"debit", "grant"}:
        return of_a_stranger(asked, f"shop-{(int(account[-1]) + 1) % 4}")
    return asked


def of_a_stranger(asked: Asked, account: str) -> Asked:
    """The same key and request from another account, which says its own name in it."""

    def said(body: Json) -> Json:
        return {
            name: value.replace(asked.account, account) if isinstance(value, str) else value
            for name, value in body.items()
        }

    assert asked.body is not None
    if asked.kind == "debit":
        return debit_of(account, asked.key, said(asked.body))
    return grant_of(account, asked.key, said(asked.body), said(asked.asked))


# Reading


def balance(world: World, step: Step) -> None:
    account, asked, query = account_of(step), {}, {}
    wanted, book = step.get("at"), world.book(account)
    if wanted and book.number:
        number = book.number - step["back"] % book.number
        at = book.times[number - 1]
        if wanted == "before entry":
            at -= 1
        ends = [row[EXPIRES_AT] for state in book.states[number - 1 :] for row in state.lots]
        if wanted == "expiry" and ends:
            at = ends[0]
        if wanted == "some time ago":
            at = (at + world.now(step)) // 2
        asked["at"], query["at"] = at, world.text(at)
    world.ask(
        step,
        Asked("balance", f"GET {ACCOUNT}/balance", account, claims=ANYBODY, query=tuple(query.items()), asked=asked),
    )


def history(world: World, step: Step) -> None:
    account = account_of(step)
    asked: Json = {"limit": step["limit"]}
    query = {"limit": str(step["limit"])}
    for name in ("type", "source"):
        if step.get(name):
            asked[name] = query[name] = step[name]
    book = world.book(account)
    if step.get("since") is not None and book.number:
        asked["since"] = book.times[-1 - step["since"] % book.number]
        query["from"] = world.text(asked["since"])
    headers = (("accept", "text/csv"),) if step["csv"] else ()
    asked["csv"] = step["csv"]
    for _ in range(1 + step["pages"]):
        answer = world.ask(
            step,
            Asked(
                "history",
                f"GET {ACCOUNT}/history",
                account,
                claims=ANYBODY,
                headers=headers,
                query=tuple(query.items()),
                asked=asked,
            ),
        )
        cursor, shown = next_cursor(answer), entries_shown(answer)
        if not cursor or not shown:
            return
        query, asked = query | {"cursor": cursor}, asked | {"below": shown[-1]}


def show(world: World, step: Step) -> None:
    what, account = step["what"], account_of(step)
    routes = {
        "account": f"GET {ACCOUNT}",
        "packs": "GET /v1/packs",
        "catalog": "GET /v1/catalog",
        "purchases": f"GET {ACCOUNT}/purchases",
        "purchase": f"GET {ACCOUNT}/purchases/{{id}}",
    }
    asked: Json = {"what": what}
    path: Json = {}
    if what == "purchase":
        asked["strangers"] = strangers = bool(step.get("strangers"))
        deals = [deal.record for deal in world.auditor.deals.values()]
        found = [record["id"] for record in deals if (record["account"] != account) == strangers]
        if not found:
            world.nothing(step)
            return
        asked["purchase"] = path["id"] = found[-1 - step["back"] % len(found)]
    about = account if ACCOUNT in routes[what] else ""
    world.ask(step, Asked("show", routes[what], about, claims=ANYBODY, path=tuple(path.items()), asked=asked))


# Administration


def put_account(world: World, step: Step) -> None:
    terms = {
        "plan": step["plan"],
        "ai_enabled": step["ai"],
        "quota_anchor_day": step["anchor"],
        "time_zone": step["zone"],
    }
    account = account_of(step)
    profile = {
        "name": f"{NAMES[step['name']]} ({account})",
        "language": ("pt-BR", "en", "es")[step["name"]],
        "low_credit_threshold": 10 + step["name"],
        "manager_contact": f"manager@{account}.example" if step["contact"] else None,
    }
    body = terms | profile
    asked = {"terms": terms, "profile": profile, "body": body}
    world.ask(step, Asked("put_account", f"PUT {ACCOUNT}", account, body, claims=ADMIN, asked=asked))


def catalog(world: World, step: Step) -> None:
    """The next version, or one after a version that is not the newest any more."""
    newest = world.auditor.in_force[-1][1]
    expected = max(1, newest - 1) if step.get("stale") else newest
    headers = (("if-match", f'"{expected}"'),)
    body = goods(step["variant"])
    asked = {"expected": expected}
    world.ask(step, Asked("catalog", "PUT /v1/catalog", "", body, claims=ADMIN, headers=headers, asked=asked))


def goods(variant: int) -> Json:
    """A catalog: small packs and quotas, so that both run out."""
    sold = {
        "credits-50": (50, 2990, 12),
        "credits-100": (100, 4990, 12),
        "credits-500": (500, 19990, 12),
        "credits-1000": (1000, 34990, 12),
        **PAIRS,
    }
    backed = "sticker" if variant == 4 else "ai_service"
    prices = {"sticker": (1, 1, 2, 0, 1, 3)[variant], "ai_service": (1, 2, 1, 1, 1, 0)[variant], "photo": 1 + variant}
    quotas = {"none": 0, "individual": 3 + variant, "trio": 10, "team": (2, 0, 5, 2, 2, 7)[variant], "scale": 40}
    return {
        "features": [{"id": one, "price": price, "quota_backed": one == backed} for one, price in prices.items()],
        "plans": [{"id": plan, "quota": quota} for plan, quota in quotas.items()],
        "packs": [
            {
                "id": pack,
                "credits": credits + variant * (pack == "odd"),
                "amount": amount,
                "currency": "brl",
                "valid_months": months,
                "active": not (pack == "gone" or (pack == "tiny" and variant == 3)),
            }
            for pack, (credits, amount, months) in sold.items()
        ],
        "allow_cheaper_small_packs": True,
    }


def skew(world: World, step: Step) -> None:
    """A machine's clock is set: perhaps back."""
    function = FUNCTIONS[step["function"]]
    world.machine(replace(step, machine=step["to"]), function).skew = step["by"]


# The manager


def code(world: World, step: Step) -> None:
    account = account_of(step)
    body: Json = {"code": CODES[step["code"]]}
    known = world.auditor.managers.get(account)
    admin = step["admin"]
    if not admin:
        current = step.get("current")
        body["current_code"] = (known.code if known and current is None else CODES[current or 0]) or CODES[0]
    asked = {"code": body["code"], **({"current": body["current_code"]} if not admin else {})}
    claims = ADMIN if admin else BUYER
    world.ask(step, Asked("code", f"PUT {ACCOUNT}/manager-code", account, body, claims=claims, asked=asked))


def unlock(world: World, step: Step) -> None:
    """The right code (None), or one that is so much off."""
    account = account_of(step)
    known = world.auditor.managers.get(account)
    right = CODES.index(known.code) if known and known.code in CODES else 0
    shown = CODES[(right + (step["code"] or 0)) % len(CODES)]
    signature = ("manager session",)
    ask(
        world,
        step,
        Asked(
            "unlock",
            f"POST {ACCOUNT}/manager-sessions",
            account,
            {"code": shown},
            new_key(world),
            BUYER,
            asked={"code": shown},
            signature=signature,
        ),
    )


# Buying


def buy(world: World, step: Step) -> None:
    account, which = account_of(step), step["token"]
    tokens = world.tokens.get(account, [])
    if which == "other's":
        tokens = [token for owner, found in world.tokens.items() if owner != account for token in found]
        which = 0
    token = tokens[-1 - which] if isinstance(which, int) and len(tokens) > which else "nobody's"
    asked = {"pack": step["pack"], "token": token}
    ask(
        world,
        step,
        Asked(
            "buy",
            f"POST {ACCOUNT}/purchases",
            account,
            {"pack": step["pack"]},
            new_key(world),
            BUYER,
            (("manager-session", token),),
            asked=asked,
            signature=("purchase", step["pack"]),
        ),
    )


def pay(world: World, step: Step) -> None:
    """A customer pays, chooses how to pay, gives up or is too late."""
    lifecycle.expire_due(world.stripe)
    how = step["how"]
    fitting = PAYABLE.get(how, PAYABLE["card"])
    found = [one for one in world.stripe.newest_first("checkout.session") if fitting(world, one)]
    happen(world, step, found, lambda one: PAYING[how](world.stripe, one["id"]))


PAYABLE: dict[str, Any] = {
    "card": lambda _, one: one["status"] == "open",
    "fail": lambda world, one: lifecycle.waiting(one) and not lifecycle.payment_failed(world.stripe, one),
    "late": lambda world, one: one["status"] == "expired" or lifecycle.payment_failed(world.stripe, one),
    "pix": lambda world, one: one["status"] == "open" or PAYABLE["fail"](world, one),
}
PAYABLE["boleto"] = PAYABLE["pix"]
PAYING: dict[str, Any] = {
    "card": lambda state, one: lifecycle.pay(state, one, "card"),
    "pix": lambda state, one: lifecycle.pay(state, one, _method(state, one, "pix")),
    "boleto": lambda state, one: lifecycle.pay(state, one, _method(state, one, "boleto")),
    "confirm": lambda state, one: lifecycle.confirm(state, one, "pix"),
    "fail": lifecycle.fail,
    "late": lifecycle.pay_after_expiry,
    "expire": lifecycle.expire,
}


def _method(state: Any, session: str, wanted: str) -> str:
    return state.baskets[session].method or wanted


def happen(world: World, step: Step, found: list[Json], what: Any) -> None:
    """Something happens at Stripe's to one of those that it can happen to."""
    if not found:
        world.nothing(step)
        return
    world.truth_moment = world.moment
    try:
        what(found[step.get("back", 0) % len(found)])
    except StripeError:
        world.nothing(step)
    world.auditor.truth_moves()


def refund(world: World, step: Step) -> None:
    found = [one for one in world.stripe.newest_first("charge") if one["paid"] and not one["refunded"]]

    def give_back(charge: Json) -> None:
        left = charge["amount"] - charge["amount_refunded"]
        money_back.refund(world.stripe, charge["id"], max(1, left // step["part"]), step["status"])

    happen(world, step, found, give_back)


def refund_ends(world: World, step: Step) -> None:
    """It fails, perhaps days after it succeeded; or a pending one succeeds."""
    wanted = {"pending"} if step["well"] else {"pending", "succeeded"}
    found = [one for one in world.stripe.newest_first("refund") if one["status"] in wanted]
    end = money_back.succeed_refund if step["well"] else money_back.fail_refund
    happen(world, step, found, lambda one: end(world.stripe, one["id"]))


def dispute(world: World, step: Step) -> None:
    disputes = world.stripe.newest_first("dispute")
    held = {one["charge"] for one in disputes if one["status"] in {*money_back.OPEN_DISPUTES, "lost"}}
    found = [one for one in world.stripe.newest_first("charge") if one["paid"] and one["id"] not in held]

    def open_one(charge: Json) -> None:
        amount = max(1, charge["amount"] // step["part"])
        money_back.dispute(world.stripe, charge["id"], amount=amount, inquiry=step["inquiry"])

    happen(world, step, found, open_one)


def dispute_ends(world: World, step: Step) -> None:
    found = [one for one in world.stripe.newest_first("dispute") if one["status"] in money_back.OPEN_DISPUTES]

    def end(one: Json) -> None:
        if step["how"] == "evidence":
            money_back.submit_evidence(world.stripe, one["id"], {"receipt": "a receipt"}, submit=True)
        else:
            money_back.close_dispute(world.stripe, one["id"], step["how"])

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
            tell(world, step, event)
        return
    place = {"first": 0, "last": -1}.get(which, step["place"] % len(events))
    tell(world, step, events[place], late=step["late"])


def tell(world: World, step: Step, event: Json, *, late: int = 0) -> Answer | None:
    """One delivery. Stripe comes again unless it hears 2xx."""
    body = json.dumps({name: value for name, value in event.items() if name != "told"})
    signed_at = world.moment // 1000 - late
    mac = hmac.new(WEBHOOK_SECRET.encode(), f"{signed_at}.{body}".encode(), "sha256").hexdigest()
    headers = (("content-type", "application/json"), ("stripe-signature", f"t={signed_at},v1={mac}"))
    asked: Json = {"raw": body, "event": event, "signed_at": signed_at}
    answer = world.ask(step, Asked("deliver", "POST /v1/webhooks/stripe", "", headers=headers, asked=asked))
    if answer is None and event not in world.events:
        # Another delivery of it was acknowledged meanwhile: nobody comes back to look at what this one wrote last.
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


# Schedules and time


def sweep(world: World, step: Step) -> None:
    run_scheduled(world, step, "expiry_sweep")


def reconcile(world: World, step: Step) -> None:
    run_scheduled(world, step, "reconcile")


def run_scheduled(world: World, step: Step, function: str) -> Json | None:
    """One run, of so many calls at most, and what it says it did."""
    answer = world.scheduled(step, function, step.get("calls"))
    if answer is not None:
        for name in ("recorded", "healed", "failed", "quarantined"):
            if answer.get(name):
                world.seen[f"{function}: {name}"] += answer[name]
        if not answer["finished"]:
            world.seen[f"{function}: cut short"] += 1
        if function == "expiry_sweep" and answer["finished"] and answer["failed"]:
            place = world.database.snapshot(TABLE)["SWEEP", "CHECKPOINT"]
            closed = world.day(world.now(step) - 2 * DAY)
            world.seen["expiry_sweep: left a lot of a day that is over"] += place["day"]["S"] <= closed
    return answer


def wait(world: World, step: Step) -> None:
    world.moment += step["milliseconds"]


def boundary(world: World, step: Step) -> None:
    """To the instant, by the clock of the machine that is asked next, or just beside it."""
    account, book = account_of(step), world.book(account_of(step))
    ahead = sorted(at for at in _instants(world, step["what"], account, book) if at > world.moment)
    if not ahead:
        world.nothing(step)
        return
    off = world.now(Step(step["function"])) - world.moment
    world.moment = max(world.moment, ahead[0] - off + step["offset"])


def _instants(world: World, what: str, account: str, book: Any) -> list[int]:
    if what in {"lot", "renewal"}:
        if not book.number:
            return []
        state = book.state.at(max(world.moment, book.time))
        return [row[EXPIRES_AT] for row in state.lots] if what == "lot" else [state.renews_at]
    if what == "session":
        return [one.expires_at for one in world.auditor.passes.values() if one.account == account]
    if what == "lock":
        manager = world.auditor.managers.get(account)
        return [manager.tried_at + 60_000] if manager else []
    return [time + 30_000 for time, _ in world.auditor.in_force[-1:]]


ACTS: dict[str, Any] = {
    one.__name__: one
    for one in (
        debit,
        grant,
        again,
        balance,
        history,
        show,
        put_account,
        catalog,
        skew,
        code,
        unlock,
        buy,
        pay,
        refund,
        refund_ends,
        dispute,
        dispute_ends,
        deliver,
        lose,
        sweep,
        reconcile,
        wait,
        boundary,
    )
}

__all__ = ["ACTS", "Deal", "act", "plain", "tell"]
