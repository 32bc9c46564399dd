"""The matrix of faults: every call of every scenario meets each fault, the caller retries, and the result must be the
same.

Checked in every cell: the fault fired; what was acknowledged is stored; a refusal changed nothing; each ledger's sums
and chain (tests/support/ledger_audit.py); once the caller has a response, the table and the response are those of a run
without a fault, or, with a rival, of one of the two orders. `make fault-matrix` prints the counts.
"""

import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import unified_diff
from functools import cached_property, partial
from itertools import islice
from os import process_cpu_count
from typing import Any, Literal

from tests.oracle import stored_form
from tests.simulation.bench import TABLE, Bench, Meet, Saved, opened_bench
from tests.simulation.database import Snapshot
from tests.simulation.faults import FAULTS, LASTING, PAIRED, SHIFT, applies, meeting
from tests.simulation.line import off_the_wire
from tests.simulation.outside import OUTSIDE
from tests.simulation.scenarios import SCENARIOS, Outcome, Scenario
from tests.support.ledger_audit import audit
from tests.support.store_driver import Stored

# A caller gives up after so many retries; with two faults the third one succeeds.
MAX_REPEATS = 4
# Some scenarios have twenty times the pairs of others.
PARTS = 8
SERVER_ERROR, REFUSED, OK = 500, 400, 200
IDS = re.compile(
    r"(pur|cs_test|cus|pi|re|ch|du|evt)_[0-9a-f]{20,}|(?<=SESSION#)[0-9a-f]{64}|(?<=manager_session.: .)[\w-]{43}"
    r"|(?<=PORTAL#)[0-9a-f]{64}|(?<=PORTAL_LINK#)[0-9a-f]{64}|(?<=/portal/enter/)[\w-]{43}"
    # The salt of an entry's texts, and their digest.
    r'|(?<="\[\\")[\w-]{22}(?=\\")|(?<=\\"texts\\":\\")[\w-]{22}'
)
# Milliseconds, seconds, milliseconds in base 36, and as text.
TIMES = re.compile(r"\b1[0-9]{12}\b|\b1[0-9]{9}\b|\bm[0-9a-z]{7}\b|\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|\+00:00)")
# The chain is audited, a checksum is of all the rest; salts, digests and counts of tries differ from try to try, and so
# does whether another request appended a debit, from its row.
NOT_COMPARED = frozenset({"hash", "checksum", "salt", "digest", "nonce", "revision", "opened", "row"})
TRIES = frozenset({"tries", "tried_at"})
# Positions of scheduled functions, of the verifier and of an erasure: they differ after another sequence of calls, and
# no credit depends on them. The feed's rows are compared by their events: their keys have the time of publishing.
PLACES = frozenset(
    {"SWEEP", "RECONCILIATION", "VERIFICATION", "VERIFIED", "ERASURE", "PUBLISHED", "PUBLISHING", "FEED", "WAIT"}
)

type Fault = tuple[int, str]
type WithBotocore = Literal["every call", "first of each kind", "no call"]


QUICK_BENCHES: dict[WithBotocore, tuple[bool, ...]] = {
    "every call": (False,),
    "first of each kind": (False, True),
    "no call": (True,),
}


@dataclass(frozen=True)
class Baseline:
    """A scenario that ran without a fault: its calls, and its possible results."""

    scenario: Scenario
    given: Any
    saved: Saved
    calls: tuple[str, ...]
    end: "End"
    ends_with_rival: tuple["End", ...]


@dataclass(frozen=True, eq=False)
class Contents:
    """What is stored, in forms that can be compared. Each is made when a cell needs it.

    loosely: without times, tries and pending checks.
    """

    snapshot: Snapshot

    @cached_property
    def _items(self) -> Stored:
        return {key: off_the_wire(item) for key, item in self.snapshot.items()}

    @cached_property
    def _rows(self) -> list[Any]:
        return [[*key, readable(item)] for key, item in sorted(self._items.items()) if _is_compared(key[0])]

    @cached_property
    def items(self) -> str:
        return numbered(written(self._rows, NOT_COMPARED))

    @cached_property
    def loosely(self) -> str:
        # Another time of the grant makes another row of pending checks; the next run removes it.
        kept = [row for row in self._rows if row[0] != "PENDING_CHECK"]
        return TIMES.sub("T", numbered(written(kept, NOT_COMPARED | TRIES)))

    @cached_property
    def feed(self) -> list[tuple[str, str]]:
        """The feed's events, by account, in its order."""
        rows = sorted((key, item) for key, item in self._items.items() if key[0].startswith("FEED#"))
        events = [json.loads(event["S"]) for _, item in rows for event in item["events"]["L"]]
        return sorted(((event["subject"], event["id"]) for event in events), key=lambda event: event[0])


@dataclass(frozen=True)
class End:
    """The caller's last response, what arrived outside, and what is stored."""

    response: str
    outside: str
    stored: Contents


@dataclass
class Cell:
    """One scenario with faults at given calls, numbered through all its invocations."""

    baseline: Baseline
    faults: tuple[Fault, ...]
    fired: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return f"{self.baseline.scenario.name} / " + ", then ".join(
            f"{kind} at call {number}" for number, kind in self.faults
        )

    @property
    def kinds(self) -> set[str]:
        return {kind for _, kind in self.faults}


def baseline_of(scenario: Scenario, bench: Bench, empty: Saved) -> Baseline:
    """Run it without a fault, alone, before and after its rival."""
    bench.load(empty)
    given = scenario.given(bench)
    saved = bench.save()
    audit_all(bench)
    bench.watched = True
    response = bench.invoke(lambda: scenario.ask(bench, given))
    bench.watched = False
    calls = tuple(bench.calls)
    assert response is not None
    end = end_of(bench, response)
    if response[0] >= REFUSED or scenario.reads:
        assert bench.database.snapshot(TABLE) == saved.items, f"{scenario.name}: what is refused changes nothing"
    orders: list[End] = []
    for rival_first in (True, False):
        bench.load(saved)
        if rival_first:
            bench.invoke(lambda: scenario.rival(bench, given))
        response = bench.invoke(lambda: scenario.ask(bench, given))
        if not rival_first:
            bench.invoke(lambda: scenario.rival(bench, given))
        assert response is not None
        orders.append(end_of(bench, response))
    return Baseline(scenario, given, saved, calls, end, tuple(orders))


def run(cell: Cell, bench: Bench) -> int:
    """Play the cell and check it; how many calls its invocations made. Raises AssertionError."""
    baseline, scenario = cell.baseline, cell.baseline.scenario
    bench.load(baseline.saved)
    bench.meet = lambda number, call: met(cell, bench, number, call)
    bench.skew = SHIFT if "clock backwards" in cell.kinds else timedelta()
    response: Outcome | None = None
    bench.watched = True
    # A lot whose call timed out is left to the run after the one that reaches the end of the day.
    enough = 2 if is_sweep(cell) and "time-out" in cell.kinds else 1
    for attempt in range(1 + MAX_REPEATS):
        before = bench.database.snapshot(TABLE)
        fired = cell.fired.total()
        response = bench.invoke(lambda: scenario.ask(bench, baseline.given))
        check(
            cell, bench, response, before, meddled=bool(cell.kinds & {"rival", "twin"}) and cell.fired.total() > fired
        )
        if not attempt and must_survive(cell):
            assert response is not None, f"{cell.name}: it ended"
            assert response[0] < SERVER_ERROR, f"{cell.name}: it gave up with {response}"
        bench.skew = SHIFTS_AFTER.get(cell.faults[0][1], timedelta())
        if attempt >= enough and response is not None and response[0] < SERVER_ERROR:
            break
    bench.watched = False
    for number, kind in cell.faults:
        assert cell.fired[f"{number} {kind}"] == 1, f"{cell.name}: it did not fire"
    assert response is not None, f"{cell.name}: never answered"
    assert_end(cell, bench, response)
    return len(bench.calls)


SURVIVED = frozenset({"answer lost", "error", "false error", "throttled", "conflict", "rival", "twin"})
# The contract's responses that ask for a retry. A scheduled function has none.
ASK_AGAIN = frozenset({"busy", "payments_unavailable"})
SHIFTS_AFTER = {"clock ahead": SHIFT, "clock behind": -SHIFT}


def must_survive(cell: Cell) -> bool:
    """Whether the first request must be served: one small fault, after which the function retries by itself.

    Not so Stripe's "slow down": its SDK passes that on, and so do we. Nor a fault of the queue, the bus or the
    receiver, which comes after all retries of their client: the stream or the queue brings the same work again.
    """
    [(number, kind), *more] = cell.faults
    if cell.baseline.calls[number - 1].startswith(OUTSIDE):
        return False
    throttled_by_stripe = kind == "throttled" and cell.baseline.calls[number - 1].startswith("stripe")
    return not more and kind in SURVIVED and not throttled_by_stripe


def met(cell: Cell, bench: Bench, number: int, call: str) -> Meet | None:
    scenario, given = cell.baseline.scenario, cell.baseline.given
    kind = dict(cell.faults).get(number)
    if kind is None:
        return None
    cell.fired[f"{number} {kind}"] += 1
    rival, twin = partial(scenario.rival, bench, given), partial(scenario.ask, bench, given)
    return meeting(kind, call, bench, rival=rival, twin=twin)


def check(cell: Cell, bench: Bench, response: Outcome | None, before: Any, *, meddled: bool) -> None:
    """Check what must hold after every invocation."""
    after = bench.database.snapshot(TABLE)
    if after != before:
        audit_all(bench)
    if response is not None and response[0] >= SERVER_ERROR and response[1] is not None:
        assert response[1]["code"] in ASK_AGAIN, f"{cell.name}: {response}"
    if response is None or meddled or is_late_refusal(cell, response):
        return
    if cell.baseline.scenario.reads or REFUSED <= response[0] < SERVER_ERROR:
        assert without_last_use(after) == without_last_use(before), f"{cell.name}: {response} changed the table"
    # A sweep may leave what a call without a reply was about to the next run, and still be finished.
    left_for_later = is_sweep(cell) and "time-out" in cell.kinds
    if (response[0] == OK or response[0] == OK + 1) and not left_for_later:
        assert_end(cell, bench, response)


def without_last_use(items: Any) -> dict[Any, Any]:
    """The table without the last uses of the page's sessions, which a page stores every few minutes."""
    return {
        key: {name: value for name, value in item.items() if name != "seen_at" or not key[0].startswith("PORTAL#")}
        for key, item in items.items()
    }


def is_sweep(cell: Cell) -> bool:
    return cell.baseline.scenario.name == "expiry_sweep"


def is_late_refusal(cell: Cell, response: Outcome) -> bool:
    """Whether it refuses a retry whose first request had its effect."""
    return (
        bool(cell.baseline.scenario.late_refusal)
        and response[1]
        and response[1].get("code") == cell.baseline.scenario.late_refusal
    )


def assert_end(cell: Cell, bench: Bench, response: Outcome) -> None:
    """Check that the result is one of the scenario's possible ones."""
    ends = cell.baseline.ends_with_rival if "rival" in cell.kinds else (cell.baseline.end,)
    end, likely = end_of(bench, response, ends), ends[0]
    assert end.outside in {end.outside for end in ends}, difference(cell, end.outside, likely.outside)
    if cell.kinds & SHIFTED or cell.baseline.scenario.late_refusal:
        found = end.stored.loosely
        assert found in {end.stored.loosely for end in ends}, difference(cell, found, likely.stored.loosely)
        return
    found = end.stored.items
    assert found in {end.stored.items for end in ends}, difference(cell, found, likely.stored.items)
    assert end.response in {end.response for end in ends}, difference(cell, end.response, likely.response)


SHIFTED = frozenset({"clock ahead", "clock behind", "clock backwards"})


def end_of(bench: Bench, response: Outcome, known: Iterable[End] = ()) -> End:
    """The response and what is stored now, in a form that can be compared.

    known: ends whose texts serve again where the same is stored.
    """
    snapshot = bench.database.snapshot(TABLE)
    stored = next((end.stored for end in known if end.stored.snapshot == snapshot), None) or Contents(snapshot)
    return End(
        response=numbered(json.dumps(response, sort_keys=True)),
        outside=json.dumps([bench.outside.first_deliveries(), stored.feed]),
        stored=stored,
    )


def _is_compared(partition: str) -> bool:
    return partition.partition("#")[0] not in PLACES


def readable(item: dict[str, Any]) -> dict[str, Any]:
    """An entry's line, state and texts in full, without the salt and what depends on it; purchases' lots as rows."""
    if "line" in item:
        line, state = stored_form.read(item)
        other = {name: value for name, value in item.items() if name not in ("line", "state", "texts")}
        return {**other, "line": line, "state": state}
    if "lots" in item:
        return {**item, "lots": stored_form.lot_rows(item["lots"]["S"])}
    return item


def written(rows: list[Any], without: frozenset[str]) -> str:
    """The rows as text, a line for each value."""
    kept = [[*key, {name: value for name, value in item.items() if name not in without}] for *key, item in rows]
    return json.dumps(kept, default=lambda raw: raw.hex(), sort_keys=True, indent=0)


def numbered(text: str) -> str:
    """Replace ids by the order of their appearance, because another run draws other ids."""
    seen: dict[str, str] = {}
    return IDS.sub(lambda found: seen.setdefault(found[0], f"{found[1] or 'session'}_{len(seen)}"), text)


def audit_all(bench: Bench) -> None:
    """Check every account's ledger."""
    items = bench.items()
    for account in accounts_of(items):
        audit(items, account)


def accounts_of(items: Stored) -> set[str]:
    return {pk.removeprefix("ACCOUNT#") for pk, sk in items if pk.startswith("ACCOUNT#") and sk.startswith("ENTRY#")}


def difference(cell: Cell, found: str, wanted: str) -> str:
    lines = list(unified_diff(wanted.split("\n"), found.split("\n"), n=2, lineterm=""))[2:]
    return "\n".join([f"{cell.name}: another end than without it", *lines[:40]])


def singles(baseline: Baseline, numbers: Iterable[int]) -> Iterator[Cell]:
    """Each of these calls with every fault, one at a time."""
    for number in numbers:
        for fault in FAULTS:
            if applies(fault, baseline.calls[number - 1]):
                yield Cell(baseline, ((number, fault),))


def first_of_each_kind(calls: Sequence[str]) -> set[int]:
    """The numbers of the first call of each operation, counted from 1."""
    return {calls.index(kind) + 1 for kind in set(calls)}


def pairs(baseline: Baseline, bench: Bench) -> Iterator[Cell]:
    """Every fault at every call, and another one at every call after it, of the repeats too.

    A fault that lasts to the end of its invocation meets each of its calls, so the second one comes in the retries.
    """
    for number, call in enumerate(baseline.calls, start=1):
        for fault in PAIRED:
            if not applies(fault, call):
                continue
            run(Cell(baseline, ((number, fault),)), bench)
            later, last = list(bench.calls), bench.ended_at[0] if fault in LASTING else number
            for second in range(last + 1, len(later) + 1):
                for other in PAIRED:
                    if applies(other, later[second - 1]):
                        yield Cell(baseline, ((number, fault), (second, other)))


def table_of(cells: dict[str, Counter[str]]) -> str:
    """How often each fault fired in each scenario."""
    kinds = [kind for kind in FAULTS if any(fired[kind] for fired in cells.values())]
    width = max(len(name) for name in cells)
    head = [f"{'':{width}}  " + "  ".join(kinds) + "  cells"]
    rows = [
        f"{name:{width}}  " + "  ".join(f"{fired[kind]:>{len(kind)}}" for kind in kinds) + f"  {fired['cells']:>5}"
        for name, fired in cells.items()
    ]
    return "\n".join(head + rows)


def play_singles(scenario: Scenario, *, with_botocore: WithBotocore) -> Counter[str]:
    """Every call with every fault: what fired, by kind, and how many cells there were.

    Calls without botocore meet their faults with the quick client, which test_database.py compares with botocore.
    Raises AssertionError that names each wrong cell.
    """
    fired: Counter[str] = Counter()
    # A bench opens, and plays the scenario without faults, only if it has calls to play.
    for quick in QUICK_BENCHES[with_botocore]:
        with opened_bench(quick=quick) as bench:
            baseline = baseline_of(scenario, bench, bench.save())
            numbers = set(range(1, len(baseline.calls) + 1))
            if with_botocore == "first of each kind":
                first = first_of_each_kind(baseline.calls)
                numbers = numbers - first if quick else first
            fired += _play(singles(baseline, sorted(numbers)), bench)
    return fired


def play_pairs(scenario: Scenario, *, first: int = 0, every: int = 1) -> Counter[str]:
    """All pairs of faults of a scenario, or every n-th of them, with the quick client. Otherwise as `play_singles`."""
    with opened_bench(quick=True) as bench:
        baseline = baseline_of(scenario, bench, bench.save())
        return _play(islice(pairs(baseline, bench), first, None, every), bench)


def _play(cells: Iterable[Cell], bench: Bench) -> Counter[str]:
    fired: Counter[str] = Counter()
    wrong: list[str] = []
    for cell in cells:
        try:
            run(cell, bench)
        except AssertionError as error:
            wrong.append(str(error))
        fired.update({kind: 1 for _, kind in cell.faults})
        fired["cells"] += 1
    assert not wrong, f"{len(wrong)} of {fired['cells']} cells:\n" + "\n".join(wrong[:10])
    return fired


def main() -> None:
    """Run all of it on every core and print the counts."""
    with ProcessPoolExecutor(process_cpu_count()) as pool:
        for in_pairs in (False, True):
            started = time.monotonic()
            # By number, because a scenario's functions can't be sent to another process.
            numbers = [number for number, scenario in enumerate(SCENARIOS) if scenario.paired or not in_pairs]
            parts = [(number, part) for number in numbers for part in range(PARTS if in_pairs else 1)]
            cells = {SCENARIOS[number].name: Counter[str]() for number in numbers}
            for (number, _), fired in zip(parts, pool.map(partial(play_part, in_pairs=in_pairs), parts), strict=True):
                cells[SCENARIOS[number].name] += fired
            total = sum(fired["cells"] for fired in cells.values())
            seconds = time.monotonic() - started
            what = f"{'pairs of faults' if in_pairs else 'single faults'} in {seconds:.0f} s, all of them fired"
            sys.stdout.write(f"\n{total} {what}\n\n{table_of(cells)}\n")
            sys.stdout.flush()


def play_part(numbers: tuple[int, int], *, in_pairs: bool) -> Counter[str]:
    """The cells of one part of the scenario with this number."""
    number, part = numbers
    if in_pairs:
        return play_pairs(SCENARIOS[number], first=part, every=PARTS)
    return play_singles(SCENARIOS[number], with_botocore="every call")


if __name__ == "__main__":
    main()
