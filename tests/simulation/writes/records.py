"""Checks the other writes: claims, due rows, profiles, catalogs, codes, sessions."""

import json
from dataclasses import replace

from tests.oracle import rules
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.expectation import must, same
from tests.oracle.ledger import KeyEffect
from tests.oracle.manager_code import SESSION_MILLISECONDS, ManagerCode
from tests.oracle.requests import Debit
from tests.oracle.rows import HOLD_NUMBER, NUMBER
from tests.simulation.writes.commit import Change, Commit, KnownSession, plain

COUNTS = ("version", "revision", "tries", "locks", "tried_at")


def check_claim(commit: Commit, change: Change) -> None:
    """A key has one effect, and its claim names it."""
    (partition, _), old, new = change
    frame = commit.frame
    must(old is None and new is not None, f"{partition} is written over")
    assert new is not None
    ledger = commit.auditor.ledgers[commit.account]
    if "row" in new:
        _check_claim_of_carried(commit, partition, new)
        return
    if frame.step.kind == "batch":
        _check_claim_of_item(commit, partition, int(new["number"]["N"]))
        return
    same(partition, f"CLAIM#{frame.account}#{frame.key}", "whose claim it is")
    effect = KeyEffect(frame.signature, frame)
    if "purchase" in new:
        effect.purchase = new["purchase"]["S"]
        must("PURCHASE" in commit.changes, f"{partition} claims no purchase")
        if frame.step.kind == "cancel":
            same(effect.purchase, frame.details["purchase"], f"{partition}: the purchase it cancelled")
    elif "number" in new:
        effect.number = int(new["number"]["N"])
        same(effect.number, min(ledger.number, commit.last_own), f"{partition}: the entry it names")
    else:
        must("SESSION" in commit.changes, f"{partition} claims nothing")
    must(frame.key not in ledger.effects, f"{partition}: a second effect")
    ledger.effects[frame.key or ""] = effect


def _check_claim_of_item(commit: Commit, partition: str, number: int) -> None:
    """The claim of one item names the entry that carries it out, which is in the same transaction."""
    frame, ledger = commit.frame, commit.auditor.ledgers[commit.account]
    last = min(ledger.number, commit.last_own)
    must(
        last - len(commit.lines) < number <= last, f"{partition} names entry {number}, which is not in its transaction"
    )
    key = partition.removeprefix(f"CLAIM#{frame.account}#")
    line = ledger.lines[number - 1]
    items = [item for item in frame.details["items"] if item.key == key and rules.is_asked_by(line, item.request)]
    must(items, f"{partition} claims an entry that no item of its key asks for: {line}")
    must(key not in ledger.effects, f"{partition}: a second effect")
    ledger.effects[key] = KeyEffect(items[0].signature, frame, number=number)


def _check_claim_of_carried(commit: Commit, partition: str, new: Json) -> None:
    """The claim of a debit that waited names its entry, which is in the same transaction."""
    ledger, number = commit.auditor.ledgers[commit.account], int(new["number"]["N"])
    owner = commit.auditor.waiting.pop((f"WAIT#{commit.account}", new["row"]["S"]))
    key = owner.key or ""
    same(partition, f"CLAIM#{owner.account}#{key}", "whose claim it is")
    must(
        commit.last_own < number <= ledger.number, f"{partition} names entry {number}, which is not in its transaction"
    )
    assert isinstance(owner.request, Debit)
    must(rules.is_asked_by(ledger.lines[number - 1], owner.request), f"{partition} names an entry of another request")
    must(key not in ledger.effects, f"{partition}: a second effect")
    ledger.effects[key] = KeyEffect(owner.signature, owner, number=number)


def check_waiting(commit: Commit, change: Change) -> None:
    """A debit's row, or the tombstone that its own request puts in its place before it answers 402 or 503."""
    place, old, new = change
    must(new is not None, f"{place} is deleted")
    same(place[0], f"WAIT#{commit.account}", "whose row it is")
    if "debit" in (new or {}):
        must(old is None, f"{place} is written over")
        commit.auditor.waiting[place] = commit.frame
    else:
        same(commit.auditor.waiting.pop(place, commit.frame), commit.frame, f"{place}: whose tombstone it is")


def check_due(commit: Commit, change: Change) -> None:
    """A lot or hold is on the sweep's list from its entry until its end is recorded."""
    (partition, sort), _, new = change
    account, _, what = sort.partition("#")
    auditor, number = commit.auditor, int(what.rpartition("_")[2])
    ledger = auditor.ledgers[account]
    if what.startswith("lot"):
        ends, live = ledger.ends[number], {row[NUMBER] for row in ledger.state.lots}
    else:
        ends, live = ledger.lines[number - 1]["lapses_at"], {hold[HOLD_NUMBER] for hold in ledger.state.holds}
    if new is None:
        must(ends <= commit.frame.now, f"{sort} leaves the sweep's list before its end")
        must(number not in live, f"{sort} leaves the sweep's list before its end is recorded")
        auditor.due.discard((account, what))
        return
    must((account, what) not in auditor.due, f"{sort} is on the list twice")
    same(number, ledger.number, f"{sort}: its entry")
    same(int(new["ends_at"]["N"]), ends, f"{sort}: its end")
    day = auditor.world.day(ends)
    must(partition.startswith(f"DUE#{day}#"), f"{sort}: due on {partition}, ends on {day}")
    auditor.due.add((account, what))


def check_reversed(commit: Commit, change: Change) -> None:
    """The number of a charge's reversed units, raised by those of the reversal beside it."""
    (_, sort), old, new = change
    assert new is not None
    line, place = commit.lines[-1], (commit.account, int(sort.removeprefix("REVERSED#")))
    same(place[1], line["reverses"], f"{sort}: the charge that it counts")
    counted = commit.auditor.reversed
    same(plain(old)["units"] if old else 0, counted[place], f"{sort}: what was reversed before")
    counted[place] += line["quantity"]
    same(plain(new)["units"], counted[place], f"{sort}: its units")
    charged = commit.auditor.ledgers[place[0]].lines[place[1] - 1]["quantity"]
    must(counted[place] <= charged, f"{sort}: {counted[place]} of {charged} units are reversed")


def check_profile(commit: Commit, change: Change) -> None:
    _, old, new = change
    assert new is not None
    record = plain(new)
    before = plain(old)["version"] if old else 0
    same(record["version"], before + 1, f"{commit.account}: version of its profile")
    for name, value in commit.frame.details["profile"].items():
        same(record.get(name), value, f"{commit.account}: {name} of its profile")
    commit.auditor.profiles.setdefault(commit.account, []).append((commit.auditor.world.moment, record))


def check_listed(commit: Commit, change: Change) -> None:
    """An account is in the list from its opening on, and the row holds only its id."""
    (_, sort), old, new = change
    ledger = commit.auditor.ledgers[commit.account]
    same((sort, len(commit.lines), ledger.number), (commit.account, 1, 1), "which account is listed, and when")
    same((old, new), (None, {"PK": {"S": "ACCOUNTS"}, "SK": {"S": sort}}), "a row in the list")


def check_catalog(commit: Commit, change: Change) -> None:
    (_, sort), old, new = change
    auditor = commit.auditor
    assert new is not None
    body = json.loads(new["body"]["S"])
    if sort == "CURRENT":
        same(body["version"], auditor.in_force[-1][1] + 1, "the catalog's next version")
        auditor.in_force.append((auditor.world.moment, body["version"]))
        return
    must(old is None, f"catalog {sort} is written over")
    same(len(commit.changes["CATALOG"]), 2, "a version and its being in force")
    stored = CatalogVersion.of(body, int(new["since"]["N"]))
    expected = auditor.catalogs[stored.version - 1].followed_by(commit.frame.details["body"], stored.since)
    same(stored, expected, f"catalog {sort}: what was asked for, and the rest as retired")
    auditor.catalogs[stored.version] = stored


def check_manager(commit: Commit, change: Change) -> None:
    """The code's record: a new code, or one more try of the old one."""
    _, old, new = change
    assert new is not None
    record, details, account = plain(new), commit.frame.details, commit.account
    counts = {name: record[name] for name in COUNTS if name in record}
    managers = commit.auditor.managers
    known = managers.get(account)
    must((old is None) == (known is None), f"{account}: the code's record")
    same(counts["revision"], (known.revision if known else 0) + 1, f"{account}: revision of the code")
    if known is None or counts["version"] != known.version:
        same(commit.frame.step.kind, "code", "which request changes a code")
        same(counts["version"], (known.version if known else 0) + 1, f"{account}: version of the code")
        must(known is None or known.code != details["code"], f"{account}: the new code is the old one")
        shown = details.get("current")
        must(shown is None or (known and shown == known.code), f"{account}: a new code for a wrong one")
        managers[account] = ManagerCode(details["code"], **counts)
        return
    managers[account] = counted = ManagerCode(known.code, **counts)
    if counted.tries == 0:
        same(details.get("current", details["code"]), known.code, f"{account}: tries forgiven for a wrong code")
        same(counted.locks, 0, f"{account}: locks after the right code")
        return
    early = known.locked_until - commit.frame.now
    must(early <= 0, f"{account}: a try while it is locked, {early} ms too early")
    same((counted.tries, counted.locks), known.after_a_try(), f"{account}: tries and locks")


def check_session(commit: Commit, change: Change) -> None:
    """A manager's session is opened by the right code and pays for one purchase."""
    (partition, _), old, new = change
    assert new is not None
    record, frame = plain(new), commit.frame
    sessions, manager = commit.auditor.sessions, commit.auditor.managers[record["account"]]
    digest = partition.removeprefix("SESSION#")
    if frame.step.kind == "unlock":
        must(old is None, "a session's token twice")
        same(frame.details["code"], manager.code, f"{record['account']}: a session for a wrong code")
        ends = frame.now + SESSION_MILLISECONDS
        same(record["expires_at"], ends, f"{record['account']}: a session's ten minutes")
        sessions[digest] = KnownSession(record["account"], record["code_version"], record["expires_at"])
        return
    known = sessions.get(digest)
    must(known is not None and old is not None, "a purchase with a session that was never opened")
    assert known is not None
    same(known.account, frame.account, "a purchase with a session of another account")
    must(not known.purchase, "two purchases with one session")
    must(frame.now < known.expires_at, "a purchase with a session that is over")
    versions = {manager.version, frame.code_version}
    must(known.version in versions, "a purchase with a session that a change of the code ended")
    sessions[digest] = replace(known, purchase=record["purchase"])


def check_place(_commit: Commit, _change: Change) -> None:
    """Any place from which a schedule continues is accepted; the checks at the end find what it lost."""


CHECKS = {
    "CLAIM": check_claim,
    "DUE": check_due,
    "REVERSED": check_reversed,
    "WAIT": check_waiting,
    "PROFILE": check_profile,
    "ACCOUNTS": check_listed,
    "CATALOG": check_catalog,
    "MANAGER": check_manager,
    "SESSION": check_session,
    "SWEEP": check_place,
    "RECONCILIATION": check_place,
    "PENDING_CHECK": check_place,
}
