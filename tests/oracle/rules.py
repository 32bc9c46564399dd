"""The rules, one function per request: which entry a ledger needs next, or why the request is refused.

A new entry type needs a request in requests.py, a function in RULES, and a row in the sets at the top.
"""

from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tests.oracle.account import (
    LATER_TERMS,
    Back,
    State,
    draw_order,
    renewal,
    take,
    with_row,
)
from tests.oracle.calendar import WEEK, end_of_validity, moved_renewal
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.requests import (
    Capture,
    Debit,
    Erase,
    Grant,
    MoneyBack,
    PlaceHold,
    PutTerms,
    Release,
    Request,
    Reverse,
    Settle,
    Void,
)
from tests.oracle.rows import (
    EXPIRES_AT,
    FEATURE,
    GRANTED,
    GRANTED_AT,
    HOLD_NUMBER,
    KIND,
    LAPSES_AT,
    LOTS,
    NUMBER,
    QUANTITY,
    QUOTA,
    REMAINING,
    Row,
    Unit,
    period_held,
    units_held,
    units_of,
)

if TYPE_CHECKING:
    from tests.oracle.ledger import Ledger, Purchased

# Types of entries that follow from time. Each is an entry of its own, before the entry of the next operation.
# A release follows from time if the service is its actor: the hold lapsed.
SETTLING = {"expiry", "release", "quota_renewal"}
# The entry type by the kind of its lot.
GRANTS = {"promotion": "grant", "adjustment": "adjustment", "purchase": "purchase"}
MONEY_BACK = {"refund", "dispute"}
# In which sum of a lot an entry's draws count. Undone money back counts there with a minus.
COUNTED_AS = {
    "consumption": "spent",
    "capture": "spent",
    "reversal": "spent",
    "expiry": "expired",
    "void": "voided",
    "refund": "taken",
    "dispute": "taken",
}
SERVICE = "prepaid"
MAX_LOTS = 500
MAX_HOLDS = 100
MAX_HELD_LOTS = 500
TEXTS = ("description", "customer", "reference")


@dataclass(frozen=True)
class Entry:
    """line: what the entry stores of what happened. after: the account after it."""

    line: Json
    after: State


@dataclass(frozen=True)
class Refusal:
    """code: of the answer. facts: what the answer states besides."""

    code: str
    facts: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """An entry without its sums. says: members of the line besides type, time and sums."""

    type: str
    after: State
    draws: list[Row] = field(default_factory=list)
    says: Json = field(default_factory=dict)


def next_entry(ledger: "Ledger", request: Request, at: int, catalog: CatalogVersion) -> Entry | Refusal | None:
    """The entry that has to follow the ledger's newest one at `at`, by this version of the catalog.

    First the entries that follow from time, then the request's own. None when the request changes nothing.
    """
    if not ledger.states:
        if not isinstance(request, PutTerms):
            return Refusal("account_not_found")
        opened = _opened(request, at, catalog)
        if isinstance(opened, Refusal):
            return opened
        return entry(opened, State({}, {}, 0), {}, request, at, catalog)
    before = ledger.state
    settling = _expired(before, at) or _lapsed(before, at) or _renewed(before, at)
    if settling:
        return entry(settling, before, before.left(catalog), None, at, catalog)
    now = before.at(at)
    effect = RULES[type(request)](ledger, now, request, at, catalog)
    if effect is None or isinstance(effect, Refusal):
        return effect
    return entry(effect, now, now.left(catalog), request, at, catalog)


def refusal(ledger: "Ledger", state: State, request: Request, at: int, catalog: CatalogVersion) -> Refusal | None:
    """Why a request is refused at `at` by an account that an entry left in this state; None when it is served."""
    effect = RULES[type(request)](ledger, state.at(at), request, at, catalog)
    return effect if isinstance(effect, Refusal) else None


def is_asked_by(line: Json, request: Debit) -> bool:
    """Whether a consumption's line is what this debit asks for, by its key and its content."""
    says = {"feature": request.feature, "quantity": request.quantity, "key": key_digest(request.key), **request.texts}
    texts = ("description", "customer", "reference")
    return all(line.get(name) == says.get(name) for name in (*says, *texts))


def quote(ledger: "Ledger", state: State, request: Debit, at: int, catalog: CatalogVersion) -> Effect | Refusal:
    """What a debit would do at `at` to an account that an entry left in this state (rule 17)."""
    return _debited(ledger, state.at(at), request, at, catalog)


def entry(
    effect: Effect, before: State, left_before: dict[str, int], request: Any, at: int, catalog: CatalogVersion
) -> Entry:
    """An effect with its sums, as the ledger stores it (rule 6). request: None for an entry that follows from time."""
    after, left, feature = effect.after, effect.after.left(catalog), effect.says.get("feature")
    moved = {
        name: left.get(name, 0) - left_before.get(name, 0)
        for name in {**left_before, **left}
        if left.get(name, 0) != left_before.get(name, 0)
    }
    line: Json = {
        "at": at,
        "type": effect.type,
        "credits": after.available - before.available,
        "quota": sum(moved.values()),
        "balance_after": after.available,
        # Of the feature that the entry is about, where the plan has a quota of it.
        "quota_remaining": left[feature] if feature in left else sum(left.values()),
        "draws": effect.draws,
        "actor": request.actor if request else SERVICE,
        "catalog_version": catalog.version,
        **effect.says,
    }
    if moved and feature is None:
        line["quotas"] = moved
    key = getattr(request, "key", None)
    if key is not None:
        line["key"] = key_digest(key)
    if after.owed != before.owed:
        line["owed"] = after.owed - before.owed
    return Entry(line, after)


def key_digest(key: str | None) -> str | None:
    """What an entry stores of the key of its request."""
    return urlsafe_b64encode(sha256(key.encode()).digest()).decode()[:6] if key is not None else None


# Entries that follow from time


def _expired(before: State, at: int) -> Effect | None:
    ended = [row for row in before.lots if row[EXPIRES_AT] <= at]
    if not ended:
        return None
    kept = tuple(row for row in before.lots if row[EXPIRES_AT] > at)
    draws = [["lot", row[NUMBER], row[REMAINING], row[EXPIRES_AT]] for row in ended]
    return Effect("expiry", replace(before, lots=kept), draws)


def _lapsed(before: State, at: int) -> Effect | None:
    """Holds end in the order of time, those of one instant in the order in which they were placed."""
    lapsed = sorted(
        (hold for hold in before.holds if hold[LAPSES_AT] <= at), key=lambda hold: (hold[LAPSES_AT], hold[HOLD_NUMBER])
    )
    return _ended(before, lapsed, at) if lapsed else None


def _ended(before: State, holds: list[Row], at: int) -> Effect:
    back = Back(before)
    back.end(holds, at)
    features = {hold[FEATURE] for hold in holds}
    says: Json = {"holds": [hold[HOLD_NUMBER] for hold in holds]}
    if len(features) == 1:
        says |= {"feature": features.pop(), "quantity": sum(hold[QUANTITY] for hold in holds)}
    returned, lost = _came_back(back, _ends(holds), says.get("feature"))
    return Effect("release", back.state, returned, says | lost)


def _ends(holds: list[Row]) -> dict[int, int]:
    return {row[NUMBER]: row[EXPIRES_AT] for hold in holds for row in hold[LOTS]}


def _came_back(back: Back, ends: dict[int, int], feature: str | None) -> tuple[list[Row], Json]:
    """What came back, as draws below zero, and what was lost, if anything was."""
    quota = [["quota", -units, *([] if owner == feature else [owner])] for owner, units in back.quota.items() if units]
    returned = [["lot", lot, -credits, ends[lot]] for lot, credits in back.returned.items()]
    lost = [["lot", lot, credits, ends[lot]] for lot, credits in back.lost.items()]
    return quota + returned, {"expired": lost} if lost else {}


def _renewed(before: State, at: int) -> Effect | None:
    """A period in which nothing was used ends without an entry."""
    return Effect("quota_renewal", before.at(at)) if before.used and before.renews_at <= at else None


# Requests


def _opened(request: PutTerms, at: int, catalog: CatalogVersion) -> Effect | Refusal:
    terms: Json = {**LATER_TERMS, **request.terms}
    if not catalog.offers("plan", terms["plan"]):
        return Refusal("invalid_request")
    return Effect(
        "plan_change", State(terms, {}, renewal(at, terms)), [], _described(f"opened on plan {terms['plan']}")
    )


def _terms_changed(
    _l: "Ledger", now: State, request: PutTerms, _at: int, catalog: CatalogVersion
) -> Effect | Refusal | None:
    old, new = now.terms, now.terms | request.terms
    if new == old:
        return None
    if old["plan"] != new["plan"] and not catalog.offers("plan", new["plan"]):
        return Refusal("invalid_request")
    renews_at = now.renews_at
    if (old["quota_anchor_day"], old["time_zone"]) != (new["quota_anchor_day"], new["time_zone"]):
        renews_at = moved_renewal(renews_at, old["time_zone"], new)
    changes = [f"{name} {old[name]} to {new[name]}" for name in ("plan", "status") if old[name] != new[name]]
    text = ", ".join(changes) if changes else "terms changed"
    return Effect("plan_change", replace(now, terms=new, renews_at=renews_at), [], _described(text))


def _debited(_l: "Ledger", now: State, request: Debit, _at: int, catalog: CatalogVersion) -> Effect | Refusal:
    """Quota first, then lots in draw order, all or nothing (rules 3 and 4)."""
    feature, quantity = request.feature, request.quantity
    if not now.active:
        return Refusal(f"account_{now.terms['status']}")
    if feature not in catalog.prices:
        return Refusal("invalid_request")
    if not catalog.offers("feature", feature):
        return Refusal("feature_retired")
    left = now.left_for(feature, catalog)
    units = min(quantity, left)
    needed = (quantity - units) * catalog.prices[feature]
    if needed > now.available:
        return _insufficient(now, needed, feature, catalog)
    lots, draws = take(now.lots, needed)
    quota = [["quota", units]] if units else []
    says = {"feature": feature, "quantity": quantity, **request.texts}
    used = {**now.used, feature: now.used.get(feature, 0) + units} if units else now.used
    return Effect("consumption", replace(now, used=used, lots=lots), quota + draws, says)


def _insufficient(now: State, needed: int, feature: str, catalog: CatalogVersion) -> Refusal:
    """A pack settles the debt first, and a renewal helps only if there is a quota (rules 4, 8, 13)."""
    helps = feature in now.limits(catalog)
    facts = {
        "needed": needed,
        "available": now.available,
        "quota_remaining": now.left_for(feature, catalog),
        "renews_at": now.renews_at if helps else None,
        "suggested_pack": catalog.smallest_pack_covering(needed - now.available + now.owed, now.terms["currency"]),
    }
    return Refusal("insufficient_credits", facts)


def _held(ledger: "Ledger", now: State, request: PlaceHold, at: int, catalog: CatalogVersion) -> Effect | Refusal:
    """Reserves what a debit would draw (rule 16)."""
    if len(now.holds) >= MAX_HOLDS:
        return Refusal("too_many_holds")
    debit = Debit(actor=request.actor, feature=request.feature, quantity=request.quantity, texts=request.texts)
    debited = _debited(ledger, now, debit, at, catalog)
    if isinstance(debited, Refusal):
        return debited
    quota = [row for row in debited.draws if row[0] == "quota"]
    rows = {row[NUMBER]: row for row in now.lots}
    drawn = [(row[1], row[2]) for row in debited.draws if row[0] == "lot"]
    lots = [[*rows[lot][:REMAINING], credits, *rows[lot][GRANTED_AT:]] for lot, credits in drawn]
    if sum(len(hold[LOTS]) for hold in now.holds) + len(lots) > MAX_HELD_LOTS:
        return Refusal("too_many_holds")
    lapses_at = at + request.ttl_seconds * 1000
    hold = [ledger.number + 1, request.feature, request.quantity, lapses_at, lots]
    if quota:
        hold += [quota[0][1], now.period]
    after = replace(debited.after, holds=(*now.holds, hold))
    return Effect("hold", after, debited.draws, {**debited.says, "lapses_at": lapses_at})


def _captured(ledger: "Ledger", now: State, request: Capture, at: int, _c: CatalogVersion) -> Effect | Refusal:
    """The first units are spent, the others come back."""
    hold = next((hold for hold in now.holds if hold[HOLD_NUMBER] == request.hold), None)
    if hold is None:
        return _why_ended(ledger, request.hold, at)
    quantity = hold[QUANTITY] if request.quantity is None else request.quantity
    if not 0 <= quantity <= hold[QUANTITY]:
        return Refusal("invalid_request")
    units = units_held(hold)
    back = Back(replace(now, holds=tuple(other for other in now.holds if other != hold)))
    rows = {row[NUMBER]: row for row in hold[LOTS]}
    back.take(units[quantity:], hold[FEATURE], rows, at, same_period=period_held(hold) == now.period)
    returned, lost = _came_back(back, _ends([hold]), hold[FEATURE])
    says: Json = {
        **{name: text for name, text in ledger.lines[request.hold - 1].items() if name in TEXTS},
        "feature": hold[FEATURE],
        "quantity": quantity,
        "holds": [hold[HOLD_NUMBER]],
        **({"returned": returned} if returned else {}),
        **lost,
    }
    return Effect("capture", back.state, _spent(units[:quantity], _ends([hold])), says)


def _spent(units: list[Unit], ends: dict[int, int]) -> list[Row]:
    """Units as draws."""
    quota = sum(1 for unit in units if unit == "quota")
    credits = Counter(lot for unit in units if unit != "quota" for lot in unit)
    draws: list[Row] = [["lot", lot, count, ends[int(lot)]] for lot, count in credits.items()]
    return [["quota", quota], *draws] if quota else draws


def _let_go(ledger: "Ledger", now: State, request: Release, at: int, _c: CatalogVersion) -> Effect | Refusal:
    holds = [hold for hold in now.holds if hold[HOLD_NUMBER] == request.hold]
    return _ended(now, holds, at) if holds else _why_ended(ledger, request.hold, at)


def _why_ended(ledger: "Ledger", number: int, at: int) -> Refusal:
    """Why the hold can't be ended: it never existed, or has ended already."""
    if not 0 < number <= ledger.number or ledger.lines[number - 1]["type"] != "hold":
        return Refusal("hold_not_found")
    lapses_at = ledger.lines[number - 1]["lapses_at"]
    ends = [line for line in ledger.lines if number in line.get("holds", ())]
    if not ends:
        assert lapses_at <= at
        return Refusal("hold_lapsed", {"lapsed_at": lapses_at})
    if ends[0]["type"] == "capture":
        return Refusal("already_captured", {"capture": ledger.lines.index(ends[0]) + 1})
    if ends[0]["actor"] == SERVICE:
        return Refusal("hold_lapsed", {"lapsed_at": lapses_at})
    return Refusal("hold_released")


def _reversed(ledger: "Ledger", now: State, request: Reverse, at: int, _c: CatalogVersion) -> Effect | Refusal:
    """The units drawn last come back, each at most once; credits whose lot has ended for a week (rule 15)."""
    line: Json = ledger.lines[request.entry - 1] if 0 < request.entry <= ledger.number else {"type": None}
    if line["type"] not in ("consumption", "capture"):
        return Refusal("consumption_not_found")
    left = line["quantity"] - sum(other["quantity"] for other in ledger.lines if other.get("reverses") == request.entry)
    quantity = left if request.quantity is None else request.quantity
    if not 0 < quantity <= left:
        return Refusal("already_reversed", {"reversible": left})
    lots = {row[1]: row[2] for row in line["draws"] if row[0] == "lot"}
    units = units_of(line["quantity"], sum(row[1] for row in line["draws"] if row[0] == "quota"), lots.items())
    # A capture spent what its hold had reserved, so its quota is of the period in which it was held.
    drawn_by = line["holds"][0] if line["type"] == "capture" else request.entry
    rows = {lot: ledger.row_of(lot) for lot in lots}
    back = Back(now)
    same_period = ledger.states[drawn_by - 1].period == now.period
    back.take(units[left - quantity : left], line["feature"], rows, at, same_period=same_period)
    draws, _ = _came_back(back, {lot: row[EXPIRES_AT] for lot, row in rows.items()}, line["feature"])
    gone = 0 if same_period else units[left - quantity : left].count(QUOTA)
    says: Json = {
        **({"past_quota": gone} if gone else {}),
        **{name: line[name] for name in ("customer", "reference") if name in line},
        **_described(request.description),
        "feature": line["feature"],
        "quantity": quantity,
        "reverses": request.entry,
    }
    after, lost = back.state, sum(back.lost.values())
    if lost:
        kinds = [rows[lot][KIND] for lot in back.lost]
        kind = "purchase" if "purchase" in kinds else kinds[0]
        row = [ledger.number + 1, kind, lost, lost, at, at + WEEK]
        after = replace(after, lots=with_row(after.lots, row))
        draws.append(["lot", row[NUMBER], -lost, at + WEEK])
        says["lot"] = row
    return Effect("reversal", after, draws, says)


def _granted(ledger: "Ledger", now: State, request: Grant, at: int, _c: CatalogVersion) -> Effect | Refusal:
    """A debt is settled first (rule 13). A paid purchase is never refused."""
    number, credits = ledger.number + 1, request.credits
    lots_of_holds = {row[NUMBER] for hold in now.holds for row in hold[LOTS]}
    if request.kind != "purchase" and len(lots_of_holds | {row[NUMBER] for row in now.lots}) >= MAX_LOTS:
        return Refusal("too_many_lots")
    expires_at = request.expires_at
    if expires_at is None:
        expires_at = end_of_validity(at, request.months or 0, now.terms["time_zone"])
    if expires_at <= at:
        return Refusal("invalid_request")
    settled = min(now.owed, credits)
    row = [number, request.kind, credits, credits - settled, at, expires_at]
    says: Json = {"lot": row, **_described(request.description)}
    if request.purchase is not None:
        says["purchase"] = request.purchase
    after = replace(now, lots=with_row(now.lots, row), owed=now.owed - settled)
    return Effect(GRANTS[request.kind], after, [], says)


def _voided(ledger: "Ledger", now: State, request: Void, _at: int, _c: CatalogVersion) -> Effect | Refusal:
    """Only the remaining credits of a grant; the rest does not become owed (rule 19)."""
    kind = ledger.kinds.get(request.lot)
    if kind is None:
        return Refusal("grant_not_found")
    if kind == "purchase":
        return Refusal("purchase_not_voidable")
    remaining = sum(row[REMAINING] for row in now.lots if row[NUMBER] == request.lot)
    credits = remaining if request.credits is None else request.credits
    if not 0 < credits <= remaining:
        return Refusal("exceeds_remaining", {"remaining": remaining})
    left, draws = take(tuple(row for row in now.lots if row[NUMBER] == request.lot), credits)
    others = [row for row in now.lots if row[NUMBER] != request.lot]
    after = replace(now, lots=tuple(sorted([*others, *left], key=draw_order)))
    return Effect("void", after, draws, _described(request.description))


def _money_back(ledger: "Ledger", now: State, request: MoneyBack, at: int, _c: CatalogVersion) -> Effect | None:
    """Revoked from the purchase's own lots; expired credits don't count, and the rest is owed (rule 13)."""
    purchased = ledger.purchased[request.purchase]
    more = request.revoked - purchased.revoked
    if not more:
        return None
    if more > 0:
        return _revoked(ledger, now, request, purchased, more)
    return _returned(ledger, now, request, purchased, at)


def _revoked(ledger: "Ledger", now: State, request: MoneyBack, purchased: "Purchased", more: int) -> Effect:
    own = tuple(row for row in now.lots if row[NUMBER] in purchased.lots)
    left, draws = take(own, min(more, sum(row[REMAINING] for row in own)))
    missing = more - sum(draw[2] for draw in draws)
    # Credits that expired unspent do not become owed.
    owed = max(0, missing - (sum(ledger.expired[lot] for lot in purchased.lots) - purchased.expired_unspent))
    others = [row for row in now.lots if row[NUMBER] not in purchased.lots]
    lots = tuple(sorted([*others, *left], key=draw_order))
    after = replace(now, lots=lots, owed=now.owed + owed)
    return Effect(request.type, after, draws, {"purchase": request.purchase})


def _returned(ledger: "Ledger", now: State, request: MoneyBack, purchased: "Purchased", at: int) -> Effect:
    """The reverse of what was revoked, its last part first: debts, then what had expired, then what was taken."""
    debt, _, taken = purchased.undone(request.revoked)
    cancelled = min(debt, now.owed)
    # A later grant settled the rest of the debt. It comes back as newly bought.
    settled = debt - cancelled
    lots, draws = now.lots, []
    says: Json = {"purchase": request.purchase}
    living = [lot for lot in purchased.lots if ledger.ends[lot] > at]
    if taken and living:
        lot = max(living, key=lambda number: (ledger.ends[number], number))
        [row] = [row for row in lots if row[NUMBER] == lot] or [ledger.row_of(lot)]
        filled = row[REMAINING] + taken
        row = [*row[:GRANTED], max(row[GRANTED], filled), filled, *row[GRANTED_AT:]]
        lots = with_row((other for other in lots if other[NUMBER] != lot), row)
        draws.append(["lot", lot, -taken, row[EXPIRES_AT]])
    fresh = settled if living else settled + taken
    if fresh:
        # Without a settled debt it is only credits whose lot has ended: they come back for a week (rule 15).
        zone = now.terms["time_zone"]
        end = end_of_validity(at, purchased.months, zone) if settled else at + WEEK
        row = [ledger.number + 1, "purchase", fresh, fresh, at, end]
        lots = with_row(lots, row)
        draws.append(["lot", row[NUMBER], -fresh, end])
        says["lot"] = row
    after = replace(now, lots=lots, owed=now.owed - cancelled)
    return Effect(request.type, after, draws, says)


def _erased(_l: "Ledger", now: State, request: Erase, _at: int, _c: CatalogVersion) -> Effect:
    """It moves no credits. It states how many entries were erased, and not whose (rule 22)."""
    return Effect("erasure", now, [], {"quantity": request.entries})


def _settled(_l: "Ledger", _now: State, _r: Settle, _at: int, _c: CatalogVersion) -> None:
    """There is nothing to record besides the entries that follow from time."""


def _described(text: str | None) -> Json:
    return {"description": text} if text is not None else {}


RULES: dict[type, Callable[..., Effect | Refusal | None]] = {
    Debit: _debited,
    PlaceHold: _held,
    Capture: _captured,
    Release: _let_go,
    Reverse: _reversed,
    Grant: _granted,
    Void: _voided,
    PutTerms: _terms_changed,
    MoneyBack: _money_back,
    Erase: _erased,
    Settle: _settled,
}
