"""One account as a sequential program, in 100 lines of its own: what the next raw entry of a ledger must be.

It knows the written format and the rules (rule 2-9), and none of the service's code. Rows of lots are as stored:
[number, kind, granted, remaining, granted_at, expires_at].
"""

from dataclasses import dataclass, replace
from typing import Any

QUOTA_OF = {"none": 0, "individual": 100, "trio": 300, "team": 500, "scale": 1000}
BACKED = "ai_service"
PRICE = 1


class Impossible(Exception):
    """No rule leads from the one state to the other."""


type Line = dict[str, Any]
type Row = list[Any]


@dataclass(frozen=True, kw_only=True)
class State:
    """An account after an entry. Times are milliseconds since 1970."""

    terms: dict[str, Any]
    quota_used: int
    quota_renews_at: int
    lots: tuple[Row, ...]
    at: int

    @property
    def available(self) -> int:
        return sum(row[3] for row in self.lots)

    @property
    def quota_limit(self) -> int:
        return QUOTA_OF[self.terms["plan"]] if self.terms["ai_enabled"] else 0

    @property
    def quota_remaining(self) -> int:
        return max(0, self.quota_limit - self.quota_used)

    def settled(self, now: int) -> "State":
        """What a reader sees at `now`."""
        used = 0 if self.quota_renews_at <= now else self.quota_used
        return replace(self, lots=tuple(row for row in self.lots if row[5] > now), quota_used=used)


def state_of(line: Line, state: dict[str, Any]) -> State:
    """The state that an entry carries."""
    return State(
        terms=state["terms"],
        quota_used=state["quota_used"],
        quota_renews_at=state["quota_renews_at"],
        lots=tuple(state["lots"]),
        at=line["at"],
    )


def faults_of(before: State, number: int, line: Line, after: State) -> list[str]:
    """What is wrong with entry `number`, given the one before it."""
    faults = ["time runs backwards"] if line["at"] < before.at else []
    try:
        expected = _after(before, number, line, after.terms)
    except Impossible as error:
        return [*faults, f"{line['type']} could not be: {error}"]
    if (expected.lots, expected.quota_used, expected.terms) != (after.lots, after.quota_used, after.terms):
        faults.append(f"leads to {after}, not {expected}")
    if after.quota_renews_at != before.quota_renews_at and before.quota_renews_at > line["at"]:
        faults.append("the quota's renewal moved")
    said = (line["credits"], line["quota"], line["balance_after"], line["quota_remaining"])
    # Each of what time has done is an entry of its own.
    was = before if line["type"] in {"expiry", "quota_renewal"} else before.settled(line["at"])
    true = (
        expected.available - before.available,
        expected.quota_remaining - was.quota_remaining,
        expected.available,
        expected.quota_remaining,
    )
    if said != true:
        faults.append(f"credits, quota, balance and quota left are {said}, not {true}")
    return faults


def _after(before: State, number: int, line: Line, terms: dict[str, Any]) -> State:
    if line["type"] == "expiry":
        ended = [row for row in before.lots if row[5] <= line["at"]]
        _demand(bool(ended) and line["draws"] == [["lot", row[0], row[3], row[5]] for row in ended], "draws")
        return replace(before, lots=tuple(row for row in before.lots if row[5] > line["at"]))
    _demand(all(row[5] > line["at"] for row in before.lots), "a lot had ended")
    if line["type"] == "quota_renewal":
        _demand(before.quota_renews_at <= line["at"], "too early")
        return replace(before, quota_used=0)
    now = before.settled(line["at"])
    if line["type"] == "consumption":
        return _debited(now, line)
    if line["type"] in {"grant", "adjustment"}:
        return _granted(now, number, line)
    _demand(line["type"] == "plan_change" and line["draws"] == [], "type")
    # Which terms, only those who asked can say.
    return replace(now, terms=terms)


def _debited(now: State, line: Line) -> State:
    quota = min(line["quantity"], now.quota_remaining) if line["feature"] == BACKED else 0
    needed = (line["quantity"] - quota) * PRICE
    _demand(needed <= now.available, f"needed {needed} of {now.available}")
    draws: list[Row] = [["quota", quota]] if quota else []
    lots: list[Row] = []
    for row in now.lots:
        taken = min(needed, row[3])
        needed -= taken
        if taken:
            draws.append(["lot", row[0], taken, row[5]])
        if row[3] > taken:
            lots.append([*row[:3], row[3] - taken, *row[4:]])
    _demand(line["draws"] == draws, f"draws are {line['draws']}, not {draws}")
    return replace(now, lots=tuple(lots), quota_used=now.quota_used + quota)


def _granted(now: State, number: int, line: Line) -> State:
    _, kind, credits, _, _, expires_at = line["lot"]
    lot = [number, kind, credits, credits, line["at"], expires_at]
    _demand(line["lot"] == lot and expires_at > line["at"] and line["draws"] == [], "lot")
    # Soonest end, promotional before purchased, granted first, number.
    lots = sorted((*now.lots, lot), key=lambda row: (row[5], row[1] == "purchase", row[4], row[0]))
    return replace(now, lots=tuple(lots))


def _demand(true: bool, otherwise: str) -> None:
    if not true:
        raise Impossible(otherwise)
