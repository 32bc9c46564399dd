"""Checks what an erasure writes: placeholders for texts, how far it walked, and an entry with a count (rule 22)."""

from tests.oracle import effects, requests, rules, stored_form
from tests.oracle.catalog import Json
from tests.oracle.expectation import must, same
from tests.simulation.writes.commit import Change, Commit, plain


def check_erased(commit: Commit, change: Change) -> None:
    """The texts of an entry that names the customer become a placeholder, and nothing else changes."""
    (_, sort), old, new = change
    frame, ledger = commit.frame, commit.auditor.ledgers[commit.account]
    assert old is not None
    assert new is not None
    number = int(sort.removeprefix("ENTRY#"))
    about, line = f"{commit.account} entry {number}, erased", ledger.lines[number - 1]
    same({**old, "texts": new["texts"]}, new, f"{about}: what changes")
    same(new["texts"]["S"], stored_form.ERASED + (effects.key_digest(frame.key) or ""), f"{about}: its placeholder")
    same(line.get("customer"), frame.details["customer"], f"{about}: whom it names")
    kept = {name: value for name, value in line.items() if name not in rules.TEXTS}
    ledger.lines[number - 1] = {**kept, "erased": True}
    commit.auditor.erased.setdefault((commit.account, frame.key or ""), []).append(number)
    commit.auditor.seen[f"texts erased: {line['type']}"] += 1


def check_walk(commit: Commit, change: Change) -> None:
    """How far a key's erasure came, and how many entries before that it erased. It doesn't say whose."""
    _, old, new = change
    assert new is not None
    frame, record = commit.frame, plain(new)
    place = (commit.account, frame.key or "")
    must(frame.details["customer"] not in str(new), "an erasure's walk names the customer")
    placeholders = [number for number in commit.auditor.erased.get(place, []) if number < record["next"]]
    same(record["entries"], len(placeholders), f"{place}: entries erased before {record['next']}")
    customer = commit.auditor.walks.setdefault(place, frame.details["customer"])
    same(frame.details["customer"], customer, f"{place}: whose walk it is")
    commit.auditor.seen["an erasure's walk continued"] += old is not None


def erasure_of(commit: Commit, item: Json) -> requests.Erase:
    """What an erasure's own entry must be: every entry before it that this key erased."""
    ledger, line = commit.auditor.ledgers[commit.account], stored_form.line_of(item)
    customer = commit.frame.details["customer"]
    left = [number for number, other in enumerate(ledger.lines, 1) if other.get("customer") == customer]
    must(not left, f"{commit.account}: erased, and entries {left} still name the customer")
    placeholders = commit.auditor.erased.get((commit.account, commit.frame.key or ""), [])
    commit.auditor.seen["an erasure of nobody"] += not placeholders and line["type"] == "erasure"
    return requests.Erase(actor="admin-client", entries=len(placeholders), key=commit.frame.key)


CHECKS = {"ERASURE": check_walk}
