"""Answers about the manager's code, its sessions, and purchases."""

from tests.oracle import answers
from tests.oracle.calendar import time_text
from tests.oracle.expectation import must, same
from tests.oracle.manager_code import MAX_TRIES, retry_after_seconds
from tests.simulation.answers.answer_check import AnswerCheck

LONGEST_WAIT = 23 * 3_600_000


def check_code(it: AnswerCheck) -> None:
    manager = it.auditor.managers.get(it.account)
    if it.is_not_found():
        return
    if it.answer.status == 204:
        must(it.frame.rivals or (manager and manager.code == it.frame.details["code"]), f"{it.about}: it isn't set")
    elif it.answer.status == 422:
        must(manager and (manager.code == it.frame.details["code"] or it.frame.rivals), f"{it.about}: it differs")
    else:
        _check_try(it, it.frame.details.get("current"))


def check_unlock(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    if it.answer.status == 201:
        known = it.auditor.sessions.get(it.world.digest(it.answer.body["manager_session"]))
        must(known is not None, f"{it.about}: no such session is stored")
        assert known is not None
        same(known.account, it.frame.account, f"{it.about}: whose session it is")
        same(it.answer.body["expires_at"], time_text(known.expires_at), it.about)
        return
    if it.is_refused_for_its_status():
        manager = it.auditor.managers.get(it.account)
        must(
            it.frame.rivals or (manager and manager.code == it.frame.details["code"]), f"{it.about}: it isn't the code"
        )
        return
    _check_try(it, it.frame.details["code"])


def _check_try(it: AnswerCheck, shown: str | None) -> None:
    """A wrong code is refused as wrong, and any code while it is locked."""
    before, manager = it.frame.manager, it.auditor.managers.get(it.account)
    # A try whose response was lost counts too. Nothing else makes a request count more than once.
    lost = it.frame.met.count("lost")
    own_tries = (manager.revision if manager else 0) - (before.revision if before else 0)
    if it.answer.code == "wrong_code":
        right = manager.code if manager else None
        must(shown != right or it.frame.rivals, f"{it.about}: it is the code")
        must(own_tries <= 1 + lost or it.frame.rivals, f"{it.about}: {own_tries} tries for one")
        if manager and not it.frame.rivals:
            same(it.answer.body["tries_left"], MAX_TRIES - manager.tries, it.about)
        return
    same(it.answer.code, "code_locked", it.about)
    must(manager is not None, f"{it.about}: nobody tried")
    if it.frame.rivals or manager is None:
        return
    until = manager.locked_until
    must(it.frame.now < until, f"{it.about}: {before}, {manager}")
    # So the fifth may have been its own.
    must(own_tries <= lost, f"{it.about}: locked by its own tries, {before}, {manager}")
    same(int(it.answer.headers["retry-after"]), retry_after_seconds(until, it.frame.now), f"{it.about}: until")
    if own_tries:
        it.world.seen["locked: by an own try whose answer was lost"] += 1
        return
    it.world.seen["locked: " + ("the right code is refused too" if shown == manager.code else "a wrong code")] += 1


def check_buy(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    if it.answer.status == 201:
        record = it.auditor.purchases[it.acknowledged().purchase].record
        # As it was when its page was created, whatever its present state.
        begun = record | {"state": "open", "refunded": 0, "disputed": 0, "revoked": 0}
        same(it.answer.body, answers.purchase(begun, []), it.about)
        must(record["session"] in it.world.stripe.tables["checkout.session"], f"{it.about}: a page that isn't there")
        return
    if it.is_refused_for_its_status():
        return
    if it.answer.code == "manager_session_invalid":
        _check_session_refused(it)
        return
    if it.answer.code == "purchase_not_resumable":
        effect = it.effect()
        assert effect is not None
        record = it.auditor.purchases[effect.purchase].record
        late = it.frame.now - record["created_at"] > LONGEST_WAIT
        must(late and "checkout_url" not in record, f"{it.about}: {record}")
        it.world.seen["a purchase that was continued too late"] += 1
        return
    same(it.answer.code, "invalid_request", it.about)
    catalogs = [it.auditor.catalogs[version] for version in it.auditor.usable_versions(it.frame)]
    packs = [catalog.packs.get(it.frame.details["pack"]) for catalog in catalogs]
    must(any(pack is None or not pack["active"] for pack in packs), f"{it.about}: the pack is on sale")


def check_cancel(it: AnswerCheck) -> None:
    if it.is_refused_for_its_key():
        return
    known = it.auditor.purchases.get(it.frame.details["purchase"])
    if it.answer.code == "purchase_not_found":
        must(known is None or known.record["account"] != it.frame.account, f"{it.about}: it is there")
        return
    assert known is not None
    record = known.record
    if it.answer.status == 200:
        must("cancel_key" in record, f"{it.about}: {record['id']} was never cancelled")
        effect = it.effect()
        if effect:
            it.acknowledged()
            same(effect.purchase, record["id"], f"{it.about}: what its key cancelled")
        same(it.answer.body["state"], "cancelled", it.about)
        same(it.answer.body["id"], record["id"], it.about)
        return
    same(it.answer.code, "purchase_not_cancellable", it.about)
    page = it.world.stripe.tables.get("checkout.session", {}).get(record.get("session", ""))
    open_still = page is not None and page["status"] == "open" and record["state"] == "open"
    must(not open_still, f"{it.about}: {record['id']} is {record['state']}, and its page open")
    if page and page["status"] == "complete":
        it.world.seen["a cancellation that came after the payment"] += 1


def _check_session_refused(it: AnswerCheck) -> None:
    known = it.auditor.sessions.get(it.world.digest(it.frame.details["token"]))
    manager = it.auditor.managers.get(it.account)
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
