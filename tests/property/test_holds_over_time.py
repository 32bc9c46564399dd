"""Holds and reversals in an account's history, beside everything else that can happen to an account."""

from collections import Counter
from dataclasses import replace

from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from prepaid.core.calendar import milliseconds
from prepaid.core.entry import CHARGES, Entry, LotDraw
from prepaid.core.errors import (
    AccountClosed,
    AccountFrozen,
    AlreadyReversed,
    FeatureRetired,
    HoldNotFound,
    InsufficientCredits,
    InvalidRequest,
)
from prepaid.core.holding import Capture, PlaceHold, Release
from prepaid.core.ledger import settle
from prepaid.core.reversing import Reverse
from tests.support import strategies
from tests.support.account_over_time import MILLISECOND, AccountOverTime
from tests.support.as_stored import facts_of
from tests.support.charges import charge_of

REFUSALS = {
    "account_frozen": AccountFrozen,
    "account_closed": AccountClosed,
    "insufficient_credits": InsufficientCredits,
    "feature_retired": FeatureRetired,
    "invalid_request": InvalidRequest,
    "already_reversed": AlreadyReversed,
    # The core sees that the hold has ended. The service looks up why.
    "already_captured": HoldNotFound,
    "hold_released": HoldNotFound,
    "hold_lapsed": HoldNotFound,
}


class HoldsOverTime(AccountOverTime):
    """An account's history with holds and reversals."""

    # Time

    @precondition(lambda self: self.account.holds)
    @rule(data=st.data(), offset=st.sampled_from([-1, 0, 0, 1]))
    def it_becomes_the_instant_of_a_lapse(self, data: st.DataObject, offset: int) -> None:
        hold = data.draw(st.sampled_from(self.account.holds))
        self.now = max(self.now, hold.lapses_at + offset * MILLISECOND)

    @precondition(lambda self: self.account.holds)
    @rule(data=st.data(), credits=st.integers(1, 12), offset=st.sampled_from([-1, 0, 1]))
    def grant_to_end_with_a_hold(self, data: st.DataObject, credits: int, offset: int) -> None:
        hold = data.draw(st.sampled_from(self.account.holds))
        self.grant_to(hold.lapses_at + offset * MILLISECOND, "promotion", credits)

    # Operations

    @rule(feature=strategies.features, quantity=st.integers(1, 8), ttl=st.sampled_from([1, 900, 900, 86_400]))
    def hold(self, feature: str, quantity: int, ttl: int) -> None:
        self.attempt(PlaceHold(actor="service", feature=feature, quantity=quantity, ttl_seconds=ttl))

    @precondition(lambda self: self.holds_so_far)
    @rule(data=st.data(), quantity=st.sampled_from([None, None, 0, 1, 2, 3, 9]))
    def capture(self, data: st.DataObject, quantity: int | None) -> None:
        hold = data.draw(st.sampled_from(self.holds_so_far))
        self.attempt(Capture(actor="service", hold=hold.number, quantity=quantity))

    @precondition(lambda self: self.account.holds)
    @rule(data=st.data(), part=st.sampled_from([0, 1, 2]))
    def capture_a_part(self, data: st.DataObject, part: int) -> None:
        hold = data.draw(st.sampled_from(self.account.holds))
        self.attempt(Capture(actor="service", hold=hold.number, quantity=hold.charge.quantity * part // 2))

    @precondition(lambda self: self.holds_so_far)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        hold = data.draw(st.sampled_from(self.holds_so_far))
        self.attempt(Release(actor="service", hold=hold.number))

    @precondition(lambda self: self.charges_so_far)
    @rule(data=st.data(), quantity=st.sampled_from([None, 1, 1, 2, 5]))
    def reverse(self, data: st.DataObject, quantity: int | None) -> None:
        entry = data.draw(st.sampled_from(self.charges_so_far))
        operation = Reverse(
            actor="service",
            entry=entry.number,
            charge=charge_of(entry, self.entries),
            reversed=sum(other.quantity or 0 for other in self.entries if other.reverses == entry.number),
            quantity=quantity,
            description="the job failed",
        )
        self.attempt(operation)

    def attempt(self, operation: PlaceHold | Capture | Release | Reverse) -> None:
        """Carry out the operation if the oracle allows it; else require the same refusal."""
        expected = self.expected_refusal(operation)
        name = type(operation).__name__
        if expected is None:
            entry = self.carry_out(operation)[-1]
            event(f"{name} of {entry.source or 'nothing'}{', with credits lost' if entry.expired else ''}")
            if entry.type == "reversal" and entry.lot:
                event("reversal to a lot of seven days")
            return
        event(f"{name} refused: {expected.code}")
        refused = self.refused(operation, REFUSALS[expected.code])
        if isinstance(refused, InsufficientCredits):
            assert facts_of(refused) == expected.facts
        if isinstance(refused, AlreadyReversed):
            assert refused.reversible == expected.facts["reversible"]

    # Invariants

    @invariant()
    def what_is_held_is_neither_available_nor_lost(self) -> None:
        seen, _ = settle(self.account, catalog=self.catalog, now=self.now)

        assert seen.held == self.ledger.state.at(milliseconds(self.ledger_now)).held
        for hold in seen.holds:
            assert hold.lapses_at > self.ledger_now
            placed = self.entries[hold.number - 1]
            assert hold.charge == charge_of(placed, self.entries)
            assert (hold.lapses_at, hold.charge.quantity) == (placed.lapses_at, placed.quantity)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "ledger"):
            check_holds(self.entries)
            check_reversals(self.entries)

    # Shared by the rules

    @property
    def holds_so_far(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.type == "hold"]

    @property
    def charges_so_far(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.type in CHARGES]


def check_holds(entries: list[Entry]) -> None:
    """Each hold ends at most once, and all that it set aside is spent, returned or lost."""
    placed = {entry.number: entry for entry in entries if entry.type == "hold"}
    ended = [number for entry in entries for number in entry.holds]
    assert len(ended) == len(set(ended))
    assert placed.keys() - set(ended) == {hold.number for hold in entries[-1].after.holds}
    for entry in entries:
        if not entry.holds:
            continue
        back = entry.returned if entry.type == "capture" else entry.draws
        set_aside = sum((credits_and_units(placed[number]) for number in entry.holds), Counter())
        accounted = credits_and_units(replace(entry, draws=entry.expired))
        accounted.subtract(credits_and_units(replace(entry, draws=back)))
        if entry.type == "capture":
            accounted.update(credits_and_units(entry))
        left = set_aside.copy()
        left.subtract(accounted)
        # Only quota can vanish: that of a period which has ended. Nothing is owed in this history.
        assert all(count == 0 or (isinstance(what, tuple) and count > 0) for what, count in left.items())


def credits_and_units(entry: Entry) -> Counter[object]:
    """The draws of an entry: credits by lot, units of quota by feature."""
    sums: Counter[object] = Counter()
    for draw in entry.draws:
        if isinstance(draw, LotDraw):
            sums[draw.lot] += draw.credits
        else:
            sums["quota", draw.feature] += draw.units
    return sums


def check_reversals(entries: list[Entry]) -> None:
    """No unit comes back twice, and never more than was charged."""
    by_number = {entry.number: entry for entry in entries}
    for number in {entry.reverses for entry in entries if entry.reverses}:
        charged, reversals = by_number[number], [entry for entry in entries if entry.reverses == number]
        assert charged.type in CHARGES
        assert sum(entry.quantity or 0 for entry in reversals) <= (charged.quantity or 0)
        assert sum(-entry.spent for entry in reversals) <= charged.spent
        assert sum(-entry.quota_units for entry in reversals) <= charged.quota_units


HoldsOverTime.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=50)
TestHoldsOverTime = HoldsOverTime.TestCase
