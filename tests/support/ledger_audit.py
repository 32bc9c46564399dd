"""Adds up a finished ledger from its raw items. The oracle defines the types of entries."""

from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from tests.oracle import stored_form
from tests.oracle.rows import LOTS, NUMBER, REMAINING
from tests.oracle.rules import COUNTED_AS, GRANTS, MONEY_BACK
from tests.support.store_driver import Stored, entry_items


@dataclass(frozen=True)
class Audited:
    """What an account's raw ledger adds up to.

    held: by live holds. taken: from lots by refunds and disputes, less what was returned.
    settled: from grants and held credits, for debts.
    """

    entries: int
    available: int
    held: int
    granted: int
    spent: int
    expired: int
    voided: int
    consumptions: int
    owed: int
    taken: int
    settled: int


def audit(items: Stored, account: str = "acme") -> Audited:
    """Check every invariant of one account's ledger and return its sums."""
    ledger = entry_items(items, account)
    assert [item["SK"]["S"] for item in ledger] == [f"ENTRY#{number:012d}" for number in range(1, len(ledger) + 1)]
    check_chain(ledger)
    granted: dict[int, int] = {}
    spent: dict[int, int] = {}
    expired: dict[int, int] = {}
    voided: dict[int, int] = {}
    taken: dict[int, int] = {}
    settled: dict[int, int] = {}
    balance = consumptions = owed = 0
    held: dict[int, int] = {}
    time = -1
    for number, item in enumerate(ledger, start=1):
        line, state = stored_form.read(item)
        assert line["at"] >= time, "time ran backwards"
        time = line["at"]
        balance += line["credits"]
        drawn = _by_lot(line["draws"])
        # What a capture spends had left the account when it was held.
        moved = _by_lot(line.get("returned", [])) if line["type"] == "capture" else drawn
        if line["type"] in GRANTS.values():
            lot_number, _, granted[number], left, *_ = line["lot"]
            settled[number] = -line.get("owed", 0)
            assert (lot_number, left, line["draws"]) == (number, granted[number] - settled[number], [])
            assert line["credits"] == left
            assert settled[number] == min(owed, granted[number]), "a grant settles what is owed first"
        else:
            assert line["credits"] == -sum(moved.values())
        for lot, credits in drawn.items():
            assert credits > 0 or line["type"] in {*MONEY_BACK, "release", "reversal"}
            assert line["type"] in {"expiry", "capture"} or line["at"] < _draw_expiry(line, lot), "spent after its end"
            if line["type"] in COUNTED_AS:
                sums = {"spent": spent, "expired": expired, "voided": voided, "taken": taken}[COUNTED_AS[line["type"]]]
                sums[lot] = sums.get(lot, 0) + credits
        lost = _by_lot(line.get("expired", []))
        for lot, credits in lost.items():
            expired[lot] = expired.get(lot, 0) + credits
        before, held = held, _held(state)
        if "holds" in line:
            ended = Counter(before)
            ended.subtract(held)
            for lot, credits in ended.items():
                # What neither came back nor was spent or lost paid a debt.
                paid = credits + moved.get(lot, 0) - lost.get(lot, 0)
                paid -= drawn.get(lot, 0) if line["type"] == "capture" else 0
                assert paid >= 0, f"more came back to lot {lot} than was held"
                settled[lot] = settled.get(lot, 0) + paid
        owed += line.get("owed", 0)
        assert line.get("owed", 0) <= 0 or line["type"] in MONEY_BACK
        assert owed == state.get("owed", 0) >= 0
        consumptions += line["type"] == "consumption"
        _check_state(state, granted, spent, expired, voided, taken, settled, held)
        assert balance == line["balance_after"] == sum(row[3] for row in state["lots"]) >= 0
    _check_claims(items, account, len(ledger))
    return Audited(
        entries=len(ledger),
        available=balance,
        held=sum(held.values()),
        granted=sum(granted.values()),
        spent=sum(spent.values()),
        expired=sum(expired.values()),
        voided=sum(voided.values()),
        consumptions=consumptions,
        owed=owed,
        taken=sum(taken.values()),
        settled=sum(settled.values()),
    )


def check_chain(ledger: list[dict[str, Any]]) -> None:
    """Each hash covers the hash before it, the entry's key, and its content."""
    previous = b"\x00" * 32
    for item in ledger:
        text = "\n".join(item[name]["S"] for name in ("PK", "SK", "line", "state"))
        previous = sha256(previous + text.encode("utf-8")).digest()
        assert item["hash"]["B"] == previous, f"the chain breaks at {item['SK']['S']}"


def _by_lot(rows: list[Any]) -> dict[int, int]:
    """Credits by lot."""
    return {row[1]: row[2] for row in rows if row[0] == "lot"}


def _held(state: Any) -> dict[int, int]:
    """Credits that holds reserve, by lot."""
    sums: Counter[int] = Counter()
    for hold in state.get("holds", ()):
        for row in hold[LOTS]:
            sums[row[NUMBER]] += row[REMAINING]
    return dict(sums)


def _check_state(state: Any, granted: dict[int, int], *gone: dict[int, int]) -> None:
    """Per lot: granted = remaining + spent + expired + voided + taken + settled, and no lot is left out or empty.
    A lot that came back after its end was granted nothing; credits were returned to it."""
    remaining = {row[0]: row[3] for row in state["lots"]}
    assert all(0 < row[3] <= row[2] for row in state["lots"])
    for lot in {*granted, *remaining, *(lot for lots in gone for lot in lots)}:
        went = sum(lots.get(lot, 0) for lots in gone)
        assert granted.get(lot, 0) == remaining.get(lot, 0) + went, f"lot {lot}"


def _draw_expiry(line: dict[str, Any], lot: int) -> int:
    [expires_at] = [row[3] for row in line["draws"] if row[0] == "lot" and row[1] == lot]
    return int(expires_at)


def _check_claims(items: Stored, account: str, entries: int) -> None:
    """One effect per key: claims name different entries, and only ones that exist."""
    claims = [item for (partition, _), item in items.items() if partition.startswith(f"CLAIM#{account}#")]
    # Those of purchases and of manager sessions name no entry.
    numbers = [int(claim["number"]["N"]) for claim in claims if "number" in claim]
    assert len(numbers) == len(set(numbers))
    assert all(1 <= number <= entries for number in numbers)
