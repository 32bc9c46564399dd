"""One account's ledger, kept a second time by other code: every entry is expected, word by word, before it is believed.

Knows the rules (docs: DESIGN.md, "What credits mean") and the written format, and shares nothing with the core. A lot
is its stored row: [number, kind, granted, remaining, granted at, expires at].
"""

import json
from base64 import b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from prepaid.core.account import Terms
from tests.property import oracle
from tests.simulation.stage import instant

type Json = dict[str, Any]
type Row = list[Any]

WEEK = 7 * 86_400_000
NUMBER, KIND, GRANTED, REMAINING, GRANTED_AT, EXPIRES_AT = range(6)
GIFTS = {"grant": "promotion", "adjustment": "adjustment", "purchase": "purchase"}
MONEY = ("refund", "dispute")
# What is done once for its key. The line keeps a digest of it.
CLAIMED = ("consumption", "grant", "adjustment")


class Broken(AssertionError):
    """A promise of the service's doesn't hold."""


def must(holds: object, message: str) -> None:
    """Demand something of the service. `message` says what was promised, or what is wrong."""
    if not holds:
        raise Broken(message)


def same(found: object, expected: object, about: str) -> None:
    """Demand that something is as the rules make it."""
    if found != expected:
        raise Broken(f"{about}\n  is        {found}\n  should be {expected}")


@dataclass(frozen=True)
class Goods:
    """One version of the catalog. since: milliseconds, by the clock of who put it in force."""

    version: int
    prices: dict[str, int]
    backed: str | None
    quotas: dict[str, int]
    packs: dict[str, Json]
    since: int

    @classmethod
    def of(cls, body: Json, since: int) -> "Goods":
        return cls(
            version=body["version"],
            prices={one["id"]: one["price"] for one in body["features"]},
            backed=next((one["id"] for one in body["features"] if one["quota_backed"]), None),
            quotas={one["id"]: one["quota"] for one in body["plans"]},
            packs={one["id"]: one for one in body["packs"]},
            since=since,
        )


@dataclass(frozen=True)
class State:
    """An account as an entry left it, or as time has left it since. lots: in draw order."""

    terms: Json
    used: int
    renews_at: int
    lots: tuple[Row, ...]
    owed: int

    @property
    def available(self) -> int:
        return sum(int(row[REMAINING]) for row in self.lots)

    def limit(self, goods: Goods) -> int:
        return goods.quotas[self.terms["plan"]] if self.terms["ai_enabled"] else 0

    def left(self, goods: Goods) -> int:
        """Units of quota."""
        return max(0, self.limit(goods) - self.used)

    def left_for(self, feature: str, goods: Goods) -> int:
        return self.left(goods) if feature == goods.backed else 0

    def at(self, now: int) -> "State":
        """What time makes of it: lots that have ended are gone, a period that is over has renewed."""
        lots = self.lots
        # In draw order the lot that ends first is the first.
        if lots and lots[0][EXPIRES_AT] <= now:
            lots = tuple(row for row in lots if row[EXPIRES_AT] > now)
        if self.renews_at <= now:
            return State(self.terms, 0, renewal(now, self.terms), lots, self.owed)
        return self if lots is self.lots else State(self.terms, self.used, self.renews_at, lots, self.owed)


def draw_order(row: Row) -> tuple[int, int, int, int]:
    """Soonest expiry, gifts before purchases, granted first, lot id."""
    return (row[EXPIRES_AT], 1 if row[KIND] == "purchase" else 0, row[GRANTED_AT], row[NUMBER])


def renewal(now: int, terms: Json) -> int:
    return milliseconds(oracle.next_renewal(instant(now), terms["quota_anchor_day"], terms["time_zone"]))


def milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def end_of_validity(start: int, months: int, zone: str) -> int:
    return milliseconds(oracle.end_of_validity(instant(start), months, zone))


@dataclass
class Effect:
    """What a key did, once for ever. asked: what kind of request and what it said. frame: the request that did it."""

    asked: tuple[Any, ...]
    frame: Any
    number: int = 0
    purchase: str = ""


@dataclass
class Bought:
    """What the ledger says of one purchase. expected: credits to grant; validity: civil months."""

    credits: int
    months: int
    lots: list[int] = field(default_factory=list)
    revoked: int = 0
    debt: int = 0
    lapsed: int = 0


@dataclass
class Book:
    """An account. lines, states: by entry, the first at 0."""

    account: str
    hash: bytes = bytes(32)
    lines: list[Json] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    effects: dict[str, Effect] = field(default_factory=dict)
    bought: dict[str, Bought] = field(default_factory=dict)
    # By lot: what it was granted (less settled debts), spent, lost at its end, and taken for money (less returned).
    granted: Counter[int] = field(default_factory=Counter)
    spent: Counter[int] = field(default_factory=Counter)
    expired: Counter[int] = field(default_factory=Counter)
    taken: Counter[int] = field(default_factory=Counter)
    ends: dict[int, int] = field(default_factory=dict)

    @property
    def number(self) -> int:
        return len(self.lines)

    @property
    def state(self) -> State:
        return self.states[-1]

    @property
    def time(self) -> int:
        return self.times[-1] if self.times else -1

    @property
    def version(self) -> int:
        """Of the catalog, that the newest entry names."""
        return int(self.lines[-1]["catalog_version"]) if self.lines else 0

    def number_at(self, at: int) -> int:
        """The last entry at or before an instant; 0 when the account is younger."""
        return bisect_right(self.times, at)

    def accept(self, item: Json, now: int, catalogs: dict[int, Goods], asked: Json, key: str) -> Json:
        """Hold a new entry against the rules; its line. asked: what its author alone can know, and with which key.

        Raises Broken.
        """
        number = self.number + 1
        same(item["SK"]["S"], f"ENTRY#{number:012d}", f"{self.account}: numbers have no gaps")
        said = "\n".join((item["PK"]["S"], item["SK"]["S"], item["line"]["S"], item["state"]["S"]))
        self.hash = sha256(self.hash + said.encode()).digest()
        same(b64decode(item["hash"]["B"]), self.hash, f"{self.account} {number}: the chain")
        line: Json = json.loads(item["line"]["S"])
        stored: Json = json.loads(item["state"]["S"])
        about = f"{self.account} entry {number} ({line['type']})"
        same(line["at"], max(now, self.time), f"{about}: dated by its author's clock, never backwards")
        goods = catalogs.get(line["catalog_version"])
        must(goods is not None and goods.version >= self.version, f"{about}: its catalog is older than the account's")
        assert goods is not None
        if number == 1:
            after, expected = self._opened(line, stored)
        else:
            after, expected = self._changed(line, goods, asked, about)
        before = self.states[-1].at(line["at"]) if self.states and line["type"] != "expiry" else None
        if line["type"] in {"expiry", "quota_renewal"}:
            before = self.states[-1]
        base = before or State(after.terms, after.used, after.renews_at, (), 0)
        expected |= {
            "at": line["at"],
            "type": line["type"],
            "credits": after.available - base.available,
            "quota": after.left(goods) - (base.left(goods) if before else 0),
            "balance_after": after.available,
            "quota_remaining": after.left(goods),
            "actor": line["actor"],
            "catalog_version": goods.version,
        }
        if line["type"] in CLAIMED:
            expected["key"] = urlsafe_b64encode(sha256(key.encode()).digest()).decode()[:6]
        if after.owed != base.owed:
            expected["owed"] = after.owed - base.owed
        same(line, expected, f"{about}: its line")
        state = {
            "terms": after.terms,
            "quota_used": after.used,
            "quota_renews_at": after.renews_at,
            "lots": list(after.lots),
        }
        same(stored, state | ({"owed": after.owed} if after.owed else {}), f"{about}: the account after it")
        self.lines.append(line)
        self.states.append(after)
        self.times.append(line["at"])
        self._count(line, about)
        return line

    def _opened(self, line: Json, stored: Json) -> tuple[State, Json]:
        terms = stored["terms"]
        expected = {"draws": [], "description": f"opened on plan {terms['plan']}"}
        same(line["type"], "plan_change", f"{self.account}: how an account begins")
        return State(terms, 0, renewal(line["at"], terms), (), 0), expected

    def _changed(self, line: Json, goods: Goods, asked: Json, about: str) -> tuple[State, Json]:
        """The state that the line's event leads to, and what the line must say besides sums."""
        at, kind, before = line["at"], line["type"], self.state
        if kind == "expiry":
            return self._ended(at, about)
        must(not before.lots or before.lots[0][EXPIRES_AT] > at, f"{about}: lots that have ended are recorded first")
        if kind == "quota_renewal":
            must(before.used and before.renews_at <= at, f"{about}: nothing renews")
            return before.at(at), {"draws": []}
        must(before.used == 0 or before.renews_at > at, f"{about}: a renewal is recorded first")
        before = before.at(at)
        if kind == "consumption":
            return self._spent(line, before, goods, about)
        if kind in GIFTS:
            return self._granted(line, before, asked, about)
        if kind == "plan_change":
            return self._moved(before, asked["terms"])
        must(kind in MONEY, f"{about}: no such type")
        return self._money(line, before, asked["revoked"], about)

    def _ended(self, at: int, about: str) -> tuple[State, Json]:
        before = self.state
        ended = [row for row in before.lots if row[EXPIRES_AT] <= at]
        must(ended, f"{about}: nothing has ended")
        kept = tuple(row for row in before.lots if row[EXPIRES_AT] > at)
        draws = [["lot", row[NUMBER], row[REMAINING], row[EXPIRES_AT]] for row in ended]
        return State(before.terms, before.used, before.renews_at, kept, before.owed), {"draws": draws}

    def _spent(self, line: Json, before: State, goods: Goods, about: str) -> tuple[State, Json]:
        feature, quantity = line["feature"], line["quantity"]
        must(feature in goods.prices, f"{about}: a feature that isn't in catalog {goods.version}")
        units = min(quantity, before.left_for(feature, goods))
        needed = (quantity - units) * goods.prices[feature]
        must(needed <= before.available, f"{about}: {needed} credits spent of {before.available}")
        lots, draws = take(before.lots, needed)
        after = State(before.terms, before.used + units, before.renews_at, lots, before.owed)
        said: Json = {name: line[name] for name in ("description", "customer", "reference") if name in line}
        quota = [["quota", units]] if units else []
        return after, {"draws": quota + draws, "feature": feature, "quantity": quantity, **said}

    def _granted(self, line: Json, before: State, asked: Json, about: str) -> tuple[State, Json]:
        number, credits = self.number + 1, asked["credits"]
        settled = min(before.owed, credits)
        expires_at = asked.get("expires_at") or end_of_validity(line["at"], asked["months"], before.terms["time_zone"])
        row = [number, GIFTS[line["type"]], credits, credits - settled, line["at"], expires_at]
        must(expires_at > line["at"], f"{about}: it has ended already")
        expected = {"draws": [], "lot": row, "description": asked["description"]}
        if line["type"] == "purchase":
            expected["purchase"] = asked["purchase"]
        lots = with_row(before.lots, row)
        return State(before.terms, before.used, before.renews_at, lots, before.owed - settled), expected

    def _moved(self, before: State, terms: Json) -> tuple[State, Json]:
        old = before.terms
        must(terms != old, f"{self.account}: a change of terms that changes nothing")
        renews_at = before.renews_at
        if (old["quota_anchor_day"], old["time_zone"]) != (terms["quota_anchor_day"], terms["time_zone"]):
            renews_at = moved_renewal(renews_at, old["time_zone"], terms)
        description = f"plan {old['plan']} to {terms['plan']}" if old["plan"] != terms["plan"] else "terms changed"
        return State(terms, before.used, renews_at, before.lots, before.owed), {"draws": [], "description": description}

    def _money(self, line: Json, before: State, revoked: int, about: str) -> tuple[State, Json]:
        """Credits follow their money: from this purchase's lots, what had expired is gone, the rest is owed."""
        bought = self.bought[line["purchase"]]
        more = revoked - bought.revoked
        must(more != 0 and 0 <= revoked <= bought.credits, f"{about}: {revoked} of {bought.credits} revoked")
        if more > 0:
            return self._revoked(line, before, bought, more)
        return self._returned(line, before, bought, -more)

    def _revoked(self, line: Json, before: State, bought: Bought, more: int) -> tuple[State, Json]:
        own = tuple(row for row in before.lots if row[NUMBER] in bought.lots)
        left, draws = take(own, min(more, sum(row[REMAINING] for row in own)))
        missing = more - sum(draw[2] for draw in draws)
        # What nobody spent before its end is not owed: it was worth nothing any more.
        unspent = sum(self.expired[lot] for lot in bought.lots) - bought.lapsed
        owed = max(0, missing - unspent)
        bought.revoked += more
        bought.debt += owed
        bought.lapsed += missing - owed
        others = [row for row in before.lots if row[NUMBER] not in bought.lots]
        lots = tuple(sorted([*others, *left], key=draw_order))
        after = State(before.terms, before.used, before.renews_at, lots, before.owed + owed)
        return after, {"draws": draws, "purchase": line["purchase"]}

    def _returned(self, line: Json, before: State, bought: Bought, less: int) -> tuple[State, Json]:
        debt = min(less, bought.debt)
        lapsed = min(less - debt, bought.lapsed)
        taken = less - debt - lapsed
        cancelled = min(debt, before.owed)
        paid = debt - cancelled
        at, lots, draws, expected = line["at"], before.lots, [], {}
        living = [lot for lot in bought.lots if self.ends[lot] > at]
        if taken and living:
            lot = max(living, key=lambda number: (self.ends[number], number))
            [row] = [row for row in lots if row[NUMBER] == lot] or [self.row_of(lot)]
            filled = row[REMAINING] + taken
            row = [*row[:GRANTED], max(row[GRANTED], filled), filled, *row[GRANTED_AT:]]
            lots = with_row(tuple(one for one in lots if one[NUMBER] != lot), row)
            draws.append(["lot", lot, -taken, row[EXPIRES_AT]])
        fresh = paid if living else paid + taken
        if fresh:
            zone = before.terms["time_zone"]
            end = end_of_validity(at, bought.months, zone) if paid else at + WEEK
            row = [self.number + 1, "purchase", fresh, fresh, at, end]
            lots = with_row(lots, row)
            draws.append(["lot", row[NUMBER], -fresh, end])
            expected["lot"] = row
        bought.revoked -= less
        bought.debt -= debt
        bought.lapsed -= lapsed
        after = State(before.terms, before.used, before.renews_at, lots, before.owed - cancelled)
        return after, expected | {"draws": draws, "purchase": line["purchase"]}

    def row_of(self, lot: int) -> Row:
        """A lot as its own entry granted it, with nothing in it: so its purchase remembers it."""
        [line] = [line for line in self.lines if line.get("lot", [0])[NUMBER] == lot]
        return [*line["lot"][:REMAINING], 0, *line["lot"][GRANTED_AT:]]

    def _count(self, line: Json, about: str) -> None:
        """Per lot: granted = remaining + spent + expired + taken, whatever happened."""
        touched = {draw[1] for draw in line["draws"] if draw[0] == "lot"}
        if "lot" in line:
            row = line["lot"]
            touched.add(row[NUMBER])
            self.ends[row[NUMBER]] = row[EXPIRES_AT]
            if line["type"] in GIFTS:
                self.granted[row[NUMBER]] = row[REMAINING]
            if "purchase" in line:
                self.bought[line["purchase"]].lots.append(row[NUMBER])
        kind = line["type"]
        sink = self.expired if kind == "expiry" else self.taken if kind in MONEY else self.spent
        for draw in line["draws"]:
            if draw[0] == "lot":
                sink[draw[1]] += draw[2]
                must(kind == "expiry" or line["at"] < draw[3], f"{about}: drawn on lot {draw[1]} after its end")
        remaining = {row[NUMBER]: row[REMAINING] for row in self.state.lots}
        for lot in touched:
            gone = self.spent[lot] + self.expired[lot] + self.taken[lot]
            same(remaining.get(lot, 0) + gone, self.granted[lot], f"{about}: lot {lot}, remaining and gone")
            must(remaining.get(lot, 0) >= 0, f"{about}: lot {lot} is below zero")
        must(self.state.owed >= 0, f"{about}: owes less than nothing")


def take(lots: tuple[Row, ...], credits: int) -> tuple[tuple[Row, ...], list[Row]]:
    """Draw on lots that stand in draw order: what is left of them, and the draws."""
    left: list[Row] = []
    draws: list[Row] = []
    for row in lots:
        drawn = min(credits, row[REMAINING])
        if drawn:
            draws.append(["lot", row[NUMBER], drawn, row[EXPIRES_AT]])
            credits -= drawn
            row = [*row[:REMAINING], row[REMAINING] - drawn, *row[GRANTED_AT:]]  # noqa: PLW2901
        if row[REMAINING]:
            left.append(row)
    return tuple(left), draws


def with_row(lots: Iterable[Row], row: Row) -> tuple[Row, ...]:
    return tuple(sorted([*lots, row] if row[REMAINING] else lots, key=draw_order))


def moved_renewal(renews_at: int, old_zone: str, terms: Json) -> int:
    """The renewal of the same civil month, by the new anchor and zone."""
    moved = oracle.Oracle(terms=_unlike(terms, old_zone), renews_at=instant(renews_at))
    moved.change(Terms(**terms), instant(renews_at - 1))
    return milliseconds(moved.renews_at)


def _unlike(terms: Json, zone: str) -> Terms:
    """Terms in the old zone with another anchor than the new ones, so that the oracle sees a move."""
    return Terms(**(terms | {"time_zone": zone, "quota_anchor_day": terms["quota_anchor_day"] % 31 + 1}))
