"""One account's ledger, kept a second time: each entry is computed from its request before the stored one is accepted.

Knows the stored format of entries. Works on DynamoDB items as boto3 returns them, and as they travel (base64 text).
"""

from base64 import b64decode
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from tests.oracle import stored_form
from tests.oracle.account import State
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.effects import Entry
from tests.oracle.expectation import Broken, must, same
from tests.oracle.requests import Grant, MoneyBack, Request
from tests.oracle.rows import EXPIRES_AT, GRANTED_AT, KIND, LOTS, NUMBER, REMAINING, Row
from tests.oracle.rules import COUNTED_AS, GRANTS, TEXTS, next_entry

GENESIS_HASH = bytes(32)


@dataclass
class KeyEffect:
    """What an idempotency key did, once and for all (rule 5).

    signature: the kind of request and what it asked for. author: the request that had the effect.
    """

    signature: tuple[Any, ...]
    author: Any
    number: int = 0
    purchase: str = ""


@dataclass
class Purchased:
    """The ledger's record of one purchase. months: of validity. revoked, debt, expired_unspent: credits."""

    months: int
    lots: list[int] = field(default_factory=list)
    revoked: int = 0
    debt: int = 0
    expired_unspent: int = 0

    def undone(self, revoked: int) -> tuple[int, int, int]:
        """How much of the debts, the expired credits and the taken credits is undone, when so much stays revoked."""
        less = self.revoked - revoked
        debt = min(less, self.debt)
        expired_unspent = min(less - debt, self.expired_unspent)
        return debt, expired_unspent, less - debt - expired_unspent


@dataclass
class Ledger:
    """An account. lines, states, times: by entry, the first at 0."""

    account: str
    hash: bytes = GENESIS_HASH
    lines: list[Json] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    effects: dict[str, KeyEffect] = field(default_factory=dict)
    purchased: dict[str, Purchased] = field(default_factory=dict)
    # By lot: granted (less settled debts), spent, lost at its end, voided, taken for money (less returned), paid for
    # debts by credits that were held.
    granted: Counter[int] = field(default_factory=Counter)
    spent: Counter[int] = field(default_factory=Counter)
    expired: Counter[int] = field(default_factory=Counter)
    voided: Counter[int] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    paid: Counter[int] = field(default_factory=Counter)
    ends: dict[int, int] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Of the newest entry; 0 before the account is opened."""
        return len(self.lines)

    @property
    def state(self) -> State:
        return self.states[-1]

    @property
    def time(self) -> int:
        return self.times[-1] if self.times else -1

    @property
    def version(self) -> int:
        """Of the catalog that the newest entry names."""
        return int(self.lines[-1]["catalog_version"]) if self.lines else 0

    def lines_until(self, number: int) -> "Ledger":
        """The same without the lines of later entries: their holds' ends and reversals."""
        return replace(self, lines=self.lines[:number])

    def number_at(self, at: int) -> int:
        """The last entry at or before an instant; 0 when the account is younger."""
        return bisect_right(self.times, at)

    def accept(self, item: Json, request: Request, now: int, catalogs: dict[int, CatalogVersion]) -> Json:
        """Compare a new entry's item with the one that the rules give, and append it. Returns its line.

        request: the one that made the entry. now: by the author's clock. Raises Broken.
        """
        number = self.number + 1
        same(item["SK"]["S"], f"ENTRY#{number:012d}", f"{self.account}: numbers have no gaps")
        line, state = stored_form.read(item)
        about = f"{self.account} entry {number} ({line['type']})"
        digest = self._next_hash(item)
        same(_binary(item["hash"]["B"]), digest, f"{about}: the chain")
        same(line["at"], max(now, self.time), f"{about}: dated by its author's clock, never backwards")
        catalog = catalogs.get(line["catalog_version"])
        must(catalog is not None and catalog.version >= self.version, f"{about}: its catalog is older than the account")
        assert catalog is not None
        expected = next_entry(self, request, line["at"], catalog)
        if not isinstance(expected, Entry):
            raise Broken(f"{about}: {request} leads to {expected}, and it is\n  {line}")
        # Erased texts leave no trace but that there were some.
        same(line, without_texts(expected.line) if "erased" in line else expected.line, f"{about}: its line")
        same(state, expected.after.stored(), f"{about}: the account after it")
        self.hash = digest
        self._append(expected, request, about)
        return line

    def _next_hash(self, item: Json) -> bytes:
        text = "\n".join((item["PK"]["S"], item["SK"]["S"], item["line"]["S"], item["state"]["S"]))
        return sha256(self.hash + text.encode()).digest()

    def _append(self, entry: Entry, request: Request, about: str) -> None:
        line = entry.line
        owed_before = self.state.owed if self.states else 0
        self.lines.append(line)
        self.states.append(entry.after)
        self.times.append(line["at"])
        if isinstance(request, Grant) and request.purchase is not None and line["type"] in GRANTS.values():
            self.purchased[request.purchase] = Purchased(request.months or 0)
        if isinstance(request, MoneyBack) and line["type"] == request.type:
            self._count_money(line, request, entry.after.owed - owed_before)
        self._count(line, about)

    def _count_money(self, line: Json, request: MoneyBack, owed: int) -> None:
        purchased = self.purchased[request.purchase]
        if request.revoked > purchased.revoked:
            drawn = sum(draw[2] for draw in line["draws"])
            purchased.debt += owed
            purchased.expired_unspent += request.revoked - purchased.revoked - drawn - owed
        else:
            debt, expired_unspent, _ = purchased.undone(request.revoked)
            purchased.debt -= debt
            purchased.expired_unspent -= expired_unspent
        purchased.revoked = request.revoked

    def row_of(self, lot: int) -> Row:
        """A lot as its own entry granted it, with nothing in it: so its purchase remembers it."""
        [line] = [line for line in self.lines if line.get("lot", [0])[NUMBER] == lot]
        return [*line["lot"][:REMAINING], 0, *line["lot"][GRANTED_AT:]]

    def _count(self, line: Json, about: str) -> None:
        """Per lot: granted = remaining + held + spent + expired + voided + taken + paid, whatever happened."""
        kind = line["type"]
        touched = {draw[1] for draw in line["draws"] if draw[0] == "lot"}
        if "lot" in line:
            row = line["lot"]
            touched.add(row[NUMBER])
            self.ends[row[NUMBER]] = row[EXPIRES_AT]
            self.kinds[row[NUMBER]] = row[KIND]
            if kind in GRANTS.values():
                self.granted[row[NUMBER]] = row[REMAINING]
            if "purchase" in line:
                self.purchased[line["purchase"]].lots.append(row[NUMBER])
        for draw in line["draws"]:
            if draw[0] == "lot":
                if kind in COUNTED_AS:
                    sums: Counter[int] = getattr(self, COUNTED_AS[kind])
                    sums[draw[1]] += draw[2]
                must(kind in ("expiry", "capture") or line["at"] < draw[3], f"{about}: lot {draw[1]} after its end")
        for _, lot, credits, ends in line.get("expired", ()):
            self.expired[lot] += credits
            must(ends <= line["at"], f"{about}: lot {lot} loses credits before its end")
        if "holds" in line:
            touched |= self._count_paid(line, about)
        remaining, held = _by_lot(self.state.lots), self._held(self.state)
        for lot in touched:
            gone = self.spent[lot] + self.expired[lot] + self.voided[lot] + self.taken[lot] + self.paid[lot]
            same(remaining[lot] + held[lot] + gone, self.granted[lot], f"{about}: lot {lot}, remaining and gone")
            must(remaining[lot] >= 0, f"{about}: lot {lot} is below zero")
        must(self.state.owed >= 0, f"{about}: owes less than nothing")

    def _count_paid(self, line: Json, about: str) -> set[int]:
        """Reserved credits are spent, lost or returned, or have paid a debt. Returns their lots."""
        before, held = self.states[-2], self._held(self.states[-2])
        after, left = self.state, self._held(self.state)
        lots, debts = {lot for lot in held if held[lot] != left[lot]}, 0
        returned = _by_lot(after.lots)
        returned.subtract(_by_lot(before.lots))
        accounted = Counter[int]()
        for draw in [*(line["draws"] if line["type"] == "capture" else []), *line.get("expired", ())]:
            if draw[0] == "lot":
                accounted[draw[1]] += draw[2]
        for lot in lots:
            paid = held[lot] - left[lot] - returned[lot] - accounted[lot]
            must(paid >= 0, f"{about}: more came back to lot {lot} than was held")
            self.paid[lot] += paid
            debts += paid
        same(before.owed - after.owed, debts, f"{about}: debts that held credits paid")
        return lots

    def _held(self, state: State) -> Counter[int]:
        held = Counter[int]()
        for hold in state.holds:
            for row in hold[LOTS]:
                held[row[NUMBER]] += row[REMAINING]
        return held


def without_texts(line: Json) -> Json:
    """A line once its texts are erased."""
    must(any(name in line for name in TEXTS), "texts are erased only where there were some")
    return {name: value for name, value in line.items() if name not in TEXTS} | {"erased": True}


def _by_lot(rows: Iterable[Row]) -> Counter[int]:
    return Counter({row[NUMBER]: row[REMAINING] for row in rows})


def _binary(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else b64decode(value)
