"""What an answer must be, from the books alone: each status has its reasons, each number in a body is computed again.

An answer may be about any state that the account was in while the request ran: others act in between.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from fake_stripe.lifecycle import payment_failed
from tests.simulation.auditor import LOCKS, Auditor, lasted, plain
from tests.simulation.bodies import (
    account_body,
    catalog_body,
    csv_text,
    entries_shown,
    next_cursor,
    packs_body,
    purchase_body,
    purchases_body,
    time_text,
)
from tests.simulation.books import (
    EXPIRES_AT,
    GRANTED,
    GRANTED_AT,
    KIND,
    NUMBER,
    REMAINING,
    Book,
    Effect,
    Goods,
    Json,
    State,
    must,
    same,
)
from tests.simulation.stage import TOLERANCE_SECONDS

if TYPE_CHECKING:
    from tests.simulation.world import Answer, Frame, World

UNANSWERED = 503
FAILED = "checkout.session.async_payment_failed"
MONEY_PROBLEMS = {"payments_unavailable", "busy", "payment_provider_refused"}


def check(world: "World", frame: "Frame", answer: "Answer") -> None:
    """Hold an answer against the books. Raises Broken."""
    if frame.first_number:
        state = world.auditor.books[frame.account or ""].states[frame.first_number - 1]
        if state.lots and state.lots[0][EXPIRES_AT] == frame.now:
            world.seen[f"boundary: {frame.step.kind} {answer.status} at the instant a lot ends"] += 1
        if state.renews_at == frame.now:
            world.seen[f"boundary: {frame.step.kind} {answer.status} at the instant the quota renews"] += 1
    status, kind = answer.status, frame.step.kind
    about = f"{kind} answered {status} {answer.code}"
    if status >= 500:
        expected = frame.troubled and status == UNANSWERED and answer.code in MONEY_PROBLEMS
        must(expected, f"{about}; met {frame.met}, raised {frame.error!r}")
        return
    if status >= 400:
        # Tries of a code are counted before they are compared: the one write that goes with a refusal.
        written = frame.written - {"MANAGER", "CUSTOMER"} if kind in {"code", "unlock", "buy"} else frame.written
        must(not written, f"{about}, and wrote {written}")
    CHECKS[kind](Checked(world, frame, answer, about))


class Checked:
    """One answer and what it is held against."""

    def __init__(self, world: "World", frame: "Frame", answer: "Answer", about: str) -> None:
        self.world, self.frame, self.answer, self.about = world, frame, answer, about
        self.auditor: Auditor = world.auditor
        self.book = self.auditor.books.get(frame.account or "") or Book(frame.account or "")

    def states(self) -> Iterator[tuple[State, int]]:
        """The account's states while the request ran, with their entries' numbers, newest first."""
        for number in range(self.book.number, max(1, self.frame.first_number) - 1, -1):
            yield self.book.states[number - 1], number

    def goods(self, number: int) -> list[Goods]:
        """What the service may have gone by, at an account whose newest entry is that one."""
        least = int(self.book.lines[number - 1]["catalog_version"])
        found = {max(version, least) for version in self.auditor.recent(self.frame)}
        return [self.auditor.goods[version] for version in sorted(found)]

    def fits(self, candidates: Iterator[Json], body: Json) -> None:
        """Demand that the body is one of these."""
        all_of_them = []
        for candidate in candidates:
            if candidate == body:
                return
            all_of_them.append(candidate)
        same(body, all_of_them[0] if all_of_them else None, f"{self.about} ({len(all_of_them)} possible)")

    def effect(self) -> Effect | None:
        return self.book.effects.get(self.frame.key or "")

    def refused(self) -> bool:
        """Whether it is one of the refusals that every request with a key shares. Demands that it is right."""
        code, effect = self.answer.code, self.effect()
        if code == "account_not_found":
            must(not self.frame.first_number, f"{self.about}: it was there")
            return True
        if code == "idempotency_key_reused":
            # A session's key speaks for the code that opened it: not for one that was set since.
            other = effect and (effect.asked != self.frame.signature or self.frame.step.kind == "unlock")
            must(other, f"{self.about}: {effect}")
            self.world.seen["a key with another request"] += 1
            return True
        free = self.frame.step.kind == "unlock" or code == "purchase_lapsed"
        if effect is not None and effect.asked == self.frame.signature and not free:
            must(self.answer.status < 400, f"{self.about}, though its key had its effect")
        return False

    def did(self) -> Effect:
        """The effect that a 201 speaks of."""
        effect = self.effect()
        must(effect is not None, f"{self.about}, and nothing is stored")
        assert effect is not None
        same(effect.asked, self.frame.signature, f"{self.about}: what its key stands for")
        replayed = self.answer.headers.get("idempotent-replayed") == "true"
        if effect.frame is not self.frame:
            must(replayed, f"{self.about}: a replay that isn't marked")
            self.world.seen["replay"] += 1
            if effect.frame.killed:
                self.world.seen["replay of what nobody had heard of"] += 1
            if effect.frame.begun_moment >= self.frame.begun_moment:
                self.world.seen["replay of a rival with the same key"] += 1
        else:
            must(not replayed or self.frame.met, f"{self.about}: marked as a replay")
            if replayed:
                self.world.seen["replay of an own lost answer"] += 1
        return effect


# Spending


def check_debit(it: Checked) -> None:
    if it.refused():
        return
    if it.answer.status == 201:
        effect = it.did()
        same(it.answer.body, consumption(it.book.lines[effect.number - 1], effect.number), it.about)
        _note_success(it)
        return
    if it.answer.code == "insufficient_credits":
        it.world.refused_keys.add((it.frame.account, it.frame.key))
        it.fits(_insufficient(it), {name: it.answer.body[name] for name in INSUFFICIENT})
        _note_lost_credit(it)
        return
    same(it.answer.code, "invalid_request", it.about)
    feature = it.frame.asked["feature"]
    known = [feature in goods.prices for _, number in it.states() for goods in it.goods(number)]
    must(not all(known), f"{it.about}: the feature exists")


INSUFFICIENT = ("needed", "available", "quota_remaining", "renews_at", "suggested_pack")


def _insufficient(it: Checked) -> Iterator[Json]:
    feature, quantity = it.frame.asked["feature"], it.frame.asked["quantity"]
    for stored, number in it.states():
        state = stored.at(max(it.frame.now, it.book.times[number - 1]))
        for goods in it.goods(number):
            if feature not in goods.prices:
                continue
            left = state.left_for(feature, goods)
            needed = (quantity - min(quantity, left)) * goods.prices[feature]
            if needed <= state.available:
                continue
            helps = feature == goods.backed and state.limit(goods) > 0
            packs = [pack for pack in goods.packs.values() if pack["active"]]
            covering = [pack for pack in packs if pack["credits"] >= needed - state.available + state.owed]
            smallest = min(covering, key=lambda pack: (pack["credits"], pack["amount"], pack["id"]), default=None)
            yield {
                "needed": needed,
                "available": state.available,
                "quota_remaining": left,
                "renews_at": time_text(state.renews_at) if helps else None,
                "suggested_pack": smallest["id"] if smallest else None,
            }


def _note_success(it: Checked) -> None:
    if (it.frame.account, it.frame.key) in it.world.refused_keys:
        it.world.seen["a key that was refused and then served"] += 1
        if it.answer.headers.get("idempotent-replayed"):
            it.world.seen["replay after a refusal"] += 1


def _note_lost_credit(it: Checked) -> None:
    if it.frame.rivals and it.book.number > it.frame.first_number:
        stored = it.book.states[it.frame.first_number - 1] if it.frame.first_number else None
        if stored and stored.at(it.frame.now).available >= it.answer.body["needed"]:
            it.world.seen["a rival took the last credit"] += 1


def consumption(line: Json, number: int) -> Json:
    return {
        "id": f"con_{number:012d}",
        "entry": number,
        "feature": line["feature"],
        "quantity": line["quantity"],
        "credits": -line["credits"],
        "quota": -line["quota"],
        "draws": [draw_answer(draw) for draw in line["draws"]],
        "balance": {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]},
        "created_at": time_text(line["at"]),
    }


def draw_answer(draw: list[Any]) -> Json:
    if draw[0] == "quota":
        return {"source": "quota", "units": draw[1]}
    return {"source": "lot", "lot": f"lot_{draw[1]:012d}", "credits": draw[2], "expires_at": time_text(draw[3])}


# Giving


def check_grant(it: Checked) -> None:
    if it.refused():
        return
    if it.answer.status == 201:
        effect = it.did()
        line = it.book.lines[effect.number - 1]
        row = line["lot"]
        expected = {
            "id": f"gra_{effect.number:012d}",
            "entry": effect.number,
            "kind": row[KIND],
            "credits": row[GRANTED],
            "lot": f"lot_{row[NUMBER]:012d}",
            "reason": line["description"],
            "expires_at": time_text(row[EXPIRES_AT]),
            "balance": {"available": line["balance_after"], "quota_remaining": line["quota_remaining"]},
            "created_at": time_text(line["at"]),
        }
        same(it.answer.body, expected, it.about)
        return
    same(it.answer.code, "invalid_request", it.about)
    must(it.frame.asked["expires_at"] <= max(it.frame.now, it.book.time), f"{it.about}: its end is still to come")
    it.world.seen["a gift that has ended already"] += 1


# Administration


def check_put_account(it: Checked) -> None:
    same(it.answer.status in {200, 201}, True, it.about)
    opened = not it.frame.first_number
    must((it.answer.status == 201) == opened or it.frame.met or it.frame.rivals, f"{it.about}: opened {opened}")
    same(it.answer.body, {"account": it.frame.account, **it.frame.asked["body"]}, it.about)
    if not it.frame.rivals:
        same(it.book.state.terms, it.frame.asked["terms"], f"{it.about}: its terms")
        _, profile = it.auditor.profiles[it.frame.account or ""][-1]
        for name, value in it.frame.asked["profile"].items():
            same(profile.get(name), value, f"{it.about}: {name}")


def check_catalog(it: Checked) -> None:
    newest = it.auditor.in_force[-1][1]
    if it.answer.status == 200:
        same(it.answer.body["version"], it.frame.asked["expected"] + 1, it.about)
        must(it.answer.body["version"] in it.auditor.goods, f"{it.about}: it isn't stored")
        return
    same(it.answer.code, "version_conflict", it.about)
    must(it.frame.asked["expected"] != newest, f"{it.about}: it was the current version")
    it.world.seen["a catalog that was changed by somebody else"] += 1


# Reading


def check_balance(it: Checked) -> None:
    if it.answer.code == "account_not_found":
        must(not it.frame.first_number, f"{it.about}: it was there")
        return
    asked_at = it.frame.asked.get("at")
    if it.answer.status == 422:
        must(not asked_at or asked_at > it.frame.now or not it.book.number_at(asked_at), f"{it.about}: at {asked_at}")
        return
    same(it.answer.status, 200, it.about)
    if asked_at is not None:
        number = it.book.number_at(asked_at)
        goods = _goods_at(it, int(it.book.lines[number - 1]["catalog_version"]), asked_at)
        state = it.book.states[number - 1].at(asked_at)
        same(it.answer.body, balance(it, state, goods, number, asked_at), it.about)
        return
    it.fits(
        (
            balance(it, stored.at(max(it.frame.now, it.book.times[number - 1])), goods, number, it.frame.now)
            for stored, number in it.states()
            for goods in it.goods(number)
        ),
        it.answer.body,
    )


def _goods_at(it: Checked, version: int, at: int) -> Goods:
    """What was in force then, or what the account had been changed under."""
    goods = it.auditor.goods
    while version + 1 in goods and goods[version + 1].since <= at:
        version += 1
    return goods[version]


def balance(it: Checked, state: State, goods: Goods, number: int, as_of: int) -> Json:
    quota = None
    if goods.backed and state.limit(goods):
        quota = {
            "feature": goods.backed,
            "limit": state.limit(goods),
            "used": state.used,
            "remaining": state.left(goods),
            "renews_at": time_text(state.renews_at),
        }
    return {
        "account": it.frame.account,
        "as_of": time_text(as_of),
        "entry": number,
        "credits": {
            "available": state.available,
            "held": 0,
            "owed": state.owed,
            "next_expiry_at": time_text(state.lots[0][EXPIRES_AT]) if state.lots else None,
            "lots": [
                {
                    "lot": f"lot_{row[NUMBER]:012d}",
                    "kind": row[KIND],
                    "granted": row[GRANTED],
                    "remaining": row[REMAINING],
                    "granted_at": time_text(row[GRANTED_AT]),
                    "expires_at": time_text(row[EXPIRES_AT]),
                }
                for row in state.lots
            ],
        },
        "quota": quota,
        "features": {feature: _usable(state, goods, feature, price) for feature, price in goods.prices.items()},
    }


def _usable(state: State, goods: Goods, feature: str, price: int) -> Json:
    if not price:
        return {"price": 0, "can_use": True, "units_left": None}
    left = state.left_for(feature, goods) + state.available // price
    return {"price": price, "can_use": left > 0, "units_left": left}


def check_history(it: Checked) -> None:
    if it.answer.code == "account_not_found":
        must(not it.frame.first_number, f"{it.about}: it was there")
        return
    same(it.answer.status, 200, it.about)
    asked, found = it.frame.asked, entries_shown(it.answer)
    lines = [entry_answer(it.book.lines[number - 1], number) for number in found]
    if asked["csv"]:
        same(it.answer.body, csv_text(lines), it.about)
        it.world.seen["a history as CSV"] += 1
    else:
        same(it.answer.body["entries"], lines, it.about)
    whole = [number for number in range(it.book.number, 0, -1) if _listed(it.book, number, asked)]
    if "below" in asked:
        # Whatever was written since the first page: what is older stays as it was.
        it.world.seen["a history's second page"] += 1
        _same_page(it, found, [[number for number in whole if number < asked["below"]]])
        return
    # Others may have written while this was read.
    newest = range(it.book.number, it.frame.first_number - 1, -1)
    _same_page(it, found, [[number for number in whole if number <= last] for last in newest])


def _same_page(it: Checked, found: list[int], possible: list[list[int]]) -> None:
    """Demand the first page of one of these, and a cursor if that isn't all."""
    limit, cursor = it.frame.asked["limit"], next_cursor(it.answer)
    fitting = [whole for whole in possible if whole[:limit] == found]
    must(fitting, f"{it.about}: {it.frame.asked}\n  is        {found}\n  should be {possible[0][:limit]}")
    must(cursor or len(fitting[-1]) <= limit, f"{it.about}: {it.frame.asked}: no cursor, and more to show")


def _listed(book: Book, number: int, asked: Json) -> bool:
    line = book.lines[number - 1]
    if "type" in asked and line["type"] != asked["type"]:
        return False
    if "since" in asked and line["at"] < asked["since"]:
        return False
    return "source" not in asked or source(line) in {asked["source"], "both"}


def source(line: Json) -> str | None:
    kinds = {"credits" if draw[0] == "lot" else "quota" for draw in line["draws"]}
    return "both" if len(kinds) > 1 else next(iter(kinds), None)


def entry_answer(line: Json, number: int) -> Json:
    texts = ("feature", "quantity", "description", "customer", "reference", "purchase")
    return {
        "entry": number,
        "at": time_text(line["at"]),
        "type": line["type"],
        "credits": line["credits"],
        "quota": line["quota"],
        "owed": line.get("owed", 0),
        **{name: line.get(name) for name in texts},
        "source": source(line),
        "balance_after": line["balance_after"],
        "quota_remaining": line["quota_remaining"],
        "draws": [draw_answer(draw) for draw in line["draws"]],
        "lot": f"lot_{line['lot'][NUMBER]:012d}" if "lot" in line else None,
        "actor": line["actor"],
    }


def check_show(it: Checked) -> None:
    what = it.frame.asked["what"]
    if it.answer.status == 404:
        strangers = what == "purchase" and it.answer.code == "purchase_not_found" and it.frame.asked["strangers"]
        must(strangers or not it.frame.first_number, f"{it.about} to {what}: it was there")
        it.world.seen["a stranger's purchase"] += bool(strangers)
        return
    same(it.answer.status, 200, it.about)
    it.fits(SHOWN[what](it), it.answer.body)
    if what == "catalog":
        same(it.answer.headers["etag"], f'"{it.answer.body["version"]}"', f"{it.about}: its ETag")


def _account_shown(it: Checked) -> Iterator[Json]:
    # Terms and profile are read one after the other.
    for _, profile in lasted(it.auditor.profiles[it.book.account], it.frame.begun_moment):
        for state, _ in it.states():
            yield account_body(it.book.account, state.terms, profile)


def _packs_shown(it: Checked) -> Iterator[Json]:
    for version in it.auditor.recent(it.frame):
        yield packs_body(it.auditor.goods[version])


def _catalog_shown(it: Checked) -> Iterator[Json]:
    for _, version in lasted(it.auditor.in_force, it.frame.begun_moment):
        yield catalog_body(it.auditor.goods[version])


def _purchases_shown(it: Checked) -> Iterator[Json]:
    """As they all were at one instant: when the request began, or when one of them changed since."""
    own = [deal for deal in it.auditor.deals.values() if deal.record["account"] == it.book.account]
    begun = it.frame.begun_moment
    for moment in sorted({begun, *(since for deal in own for since, _ in deal.shown if since > begun)}):
        shown = [lasted(deal.shown, moment)[0][1] for deal in own if deal.shown[0][0] <= moment]
        yield purchases_body({one["id"]: one for one in shown})


def _purchase_shown(it: Checked) -> Iterator[Json]:
    must(not it.frame.asked["strangers"], f"{it.about}: a stranger's purchase")
    for _, shown in lasted(it.auditor.deals[it.frame.asked["purchase"]].shown, it.frame.begun_moment):
        yield shown


SHOWN = {
    "account": _account_shown,
    "packs": _packs_shown,
    "catalog": _catalog_shown,
    "purchases": _purchases_shown,
    "purchase": _purchase_shown,
}


# The manager


def check_code(it: Checked) -> None:
    manager = it.auditor.managers.get(it.frame.account or "")
    if it.answer.code == "account_not_found":
        must(not it.frame.first_number, f"{it.about}: it was there")
    elif it.answer.status == 204:
        must(it.frame.rivals or (manager and manager.code == it.frame.asked["code"]), f"{it.about}: it isn't set")
    elif it.answer.status == 422:
        must(manager and (manager.code == it.frame.asked["code"] or it.frame.rivals), f"{it.about}: it differs")
    else:
        _check_try(it, it.frame.asked.get("current"))


def check_unlock(it: Checked) -> None:
    if it.refused():
        return
    if it.answer.status == 201:
        known = it.auditor.passes.get(it.world.digest(it.answer.body["manager_session"]))
        must(known is not None, f"{it.about}: no such session is stored")
        assert known is not None
        same(known.account, it.frame.account, f"{it.about}: whose session it is")
        same(it.answer.body["expires_at"], time_text(known.expires_at), it.about)
        return
    _check_try(it, it.frame.asked["code"])


def _check_try(it: Checked, shown: str | None) -> None:
    """A wrong code is refused as wrong, and any while it is locked."""
    before, manager = it.frame.manager, it.auditor.managers.get(it.frame.account or "")
    # A try whose answer was lost counts as well: more than one at once is nobody's guess but that.
    lost = it.frame.met.count("lost")
    own_tries = (manager.revision if manager else 0) - (before.revision if before else 0)
    if it.answer.code == "wrong_code":
        right = manager.code if manager else None
        must(shown != right or it.frame.rivals, f"{it.about}: it is the code")
        must(own_tries <= 1 + lost or it.frame.rivals, f"{it.about}: {own_tries} tries for one")
        if manager and not it.frame.rivals:
            same(it.answer.body["tries_left"], 5 - manager.tries, it.about)
        return
    same(it.answer.code, "code_locked", it.about)
    must(manager is not None, f"{it.about}: nobody tried")
    if it.frame.rivals or manager is None:
        return
    until = manager.tried_at + LOCKS[min(manager.locks, len(LOCKS) - 1)]
    must(manager.tries == 5 and it.frame.now < until, f"{it.about}: {before}, {manager}")
    # So the fifth may have been its own.
    must(own_tries <= lost, f"{it.about}: locked by its own tries, {before}, {manager}")
    same(int(it.answer.headers["retry-after"]), max(1, -(-(until - it.frame.now) // 1000)), f"{it.about}: until")
    if own_tries:
        it.world.seen["locked: by an own try whose answer was lost"] += 1
        return
    it.world.seen["locked: " + ("the right code is refused too" if shown == manager.code else "a wrong code")] += 1


# Buying


def check_buy(it: Checked) -> None:
    if it.refused():
        return
    if it.answer.status == 201:
        effect = it.did()
        record = it.auditor.deals[effect.purchase].record
        # As it was when its page was made, whatever has become of it.
        begun = record | {"state": "open", "refunded": 0, "disputed": 0, "revoked": 0}
        expected = purchase_body(begun, [])
        same(it.answer.body, expected, it.about)
        must(record["session"] in it.world.stripe.tables["checkout.session"], f"{it.about}: a page that isn't there")
        return
    if it.answer.code == "manager_session_invalid":
        _check_session_refused(it)
        return
    if it.answer.code == "purchase_lapsed":
        effect_before = it.effect()
        assert effect_before is not None
        record = it.auditor.deals[effect_before.purchase].record
        late = it.frame.now - record["created_at"] > 23 * 3_600_000
        must(late and "checkout_url" not in record, f"{it.about}: {record}")
        it.world.seen["a purchase that was continued too late"] += 1
        return
    same(it.answer.code, "invalid_request", it.about)
    packs = [it.auditor.goods[version].packs.get(it.frame.asked["pack"]) for version in it.auditor.recent(it.frame)]
    must(any(pack is None or not pack["active"] for pack in packs), f"{it.about}: the pack is on sale")


def _check_session_refused(it: Checked) -> None:
    known = it.auditor.passes.get(it.world.digest(it.frame.asked["token"]))
    manager = it.auditor.managers.get(it.frame.account or "")
    good = (
        known
        and manager
        and known.account == it.frame.account
        and not known.purchase
        and it.frame.now < known.expires_at
        and known.version == manager.version
    )
    must(not good, f"{it.about}: {known}")
    if known and it.frame.now == known.expires_at:
        it.world.seen["boundary: a manager's session at its end"] += 1


def check_deliver(it: Checked) -> None:
    if it.answer.status == 400:
        off = abs(it.frame.now / 1000 - it.frame.asked["signed_at"])
        must(off > TOLERANCE_SECONDS, f"{it.about}: it was signed {off} s from now")
        it.world.seen["a delivery that is too old or too new"] += 1
        return
    same((it.answer.status, it.answer.body), (200, {"received": True}), it.about)
    off = abs(it.frame.now / 1000 - it.frame.asked["signed_at"])
    must(off <= TOLERANCE_SECONDS, f"{it.about}: it was signed {off} s from now")
    event = it.frame.asked["event"]
    deal = it.world.deal_of(event)
    if deal is None:
        return
    # When money moved meanwhile another event says so; unless nobody is going to say anything any more.
    others = [one for one in it.world.events if one is not event and it.world.deal_of(one) is deal]
    expired_moment = it.world.told_moments.get(deal.record.get("session", ""), -1)
    moved = max(it.world.truth_moment, expired_moment) > it.frame.begun_moment
    if moved and not others and not it.world.lost:
        it.world.seen["money that moved meanwhile, and this was the last to be heard of it"] += 1
    if not moved or not (others or it.world.lost):
        # That a voucher ran out is said by its event alone, which may be yet to come.
        failed = event["type"] == FAILED or not (it.world.lost or any(one["type"] == FAILED for one in others))
        up_to_date(it.world, deal.record, it.about, failed=failed)


def up_to_date(world: "World", record: Json, about: str, *, failed: bool = True) -> None:
    """Demand that a purchase is where Stripe's truth is. failed: that a voucher ran out was heard of, if it did."""
    session = session_of(world, record)
    about = f"{about}: {record['id']}"
    deal = world.auditor.deals[record["id"]]
    same(deal.granted, bool(session and session["payment_status"] == "paid"), f"{about} is granted when it is paid")
    if not deal.granted:
        possible = _unpaid(world, record, session, failed=failed)
        must(record["state"] in possible, f"{about} is {record['state']}, and should be {possible}")
        return
    _, refunded, disputed = world.auditor.truths[record["payment"]][-1]
    amount = record["amount"]
    expected = (min(refunded, amount), min(disputed, amount))
    same((record["refunded"], record["disputed"]), expected, f"{about}: what went back")


def session_of(world: "World", record: Json) -> Json | None:
    """A purchase's page at Stripe's, whether we heard of it or not."""
    for session in world.stripe.tables.get("checkout.session", {}).values():
        if session["metadata"]["prepaid_purchase"] == record["id"]:
            return dict(session)
    return None


def _unpaid(world: "World", record: Json, session: Json | None, *, failed: bool) -> set[str]:
    """The states that a purchase may be in for which no money has come."""
    if session is None or (session["status"] == "open" and "session" not in record):
        return {"created"}
    if session["status"] != "complete":
        return {str(session["status"])}
    if not payment_failed(world.stripe, session):
        return {"pending"}
    return {"failed"} if failed else {"failed", "pending"}


CHECKS = {
    "debit": check_debit,
    "grant": check_grant,
    "put_account": check_put_account,
    "catalog": check_catalog,
    "balance": check_balance,
    "history": check_history,
    "show": check_show,
    "code": check_code,
    "unlock": check_unlock,
    "buy": check_buy,
    "deliver": check_deliver,
}

__all__ = ["check", "plain", "up_to_date"]
