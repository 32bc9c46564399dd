"""One answer and what it is compared with."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.oracle.account import State
from tests.oracle.catalog import CatalogVersion, Json
from tests.oracle.expectation import must, same
from tests.oracle.ledger import KeyEffect, Ledger

if TYPE_CHECKING:
    from tests.simulation.frames import Answer, Frame
    from tests.simulation.world import World
    from tests.simulation.writes.auditor import Auditor


NOT_ACTIVE = {"account_frozen", "account_closed"}


class AnswerCheck:
    """about: names the answer in a fault. ledger: the account's, empty when there is none."""

    def __init__(self, world: "World", frame: "Frame", answer: "Answer", about: str) -> None:
        self.world, self.frame, self.answer, self.about = world, frame, answer, about
        self.auditor: Auditor = world.auditor
        self.account = frame.account or ""
        self.ledger = self.auditor.ledgers.get(self.account) or Ledger(self.account)

    def states(self) -> Iterator[tuple[State, int]]:
        """The account's states while the request ran, with their entries' numbers, newest first."""
        for number in range(self.ledger.number, max(1, self.frame.first_number) - 1, -1):
            yield self.ledger.states[number - 1], number

    def time_after(self, number: int) -> int:
        """The time of the request, for an account whose newest entry is that one."""
        return max(self.frame.now, self.ledger.times[number - 1])

    def catalogs(self, number: int) -> list[CatalogVersion]:
        """The catalog versions that the request may have used, for an account whose newest entry is that one."""
        least = int(self.ledger.lines[number - 1]["catalog_version"])
        found = {max(version, least) for version in self.auditor.usable_versions(self.frame)}
        return [self.auditor.catalogs[version] for version in sorted(found)]

    def is_one_of(self, candidates: Iterator[Json], body: Json) -> None:
        """Require that the body is one of these."""
        seen = []
        for candidate in candidates:
            if candidate == body:
                return
            seen.append(candidate)
        same(body, seen[0] if seen else None, f"{self.about} ({len(seen)} possible)")

    def is_not_found(self) -> bool:
        """Whether the account was not found. Requires that it did not exist."""
        if self.answer.code != "account_not_found":
            return False
        must(not self.frame.first_number, f"{self.about}: it was there")
        return True

    def effect(self) -> KeyEffect | None:
        return self.ledger.effects.get(self.frame.key or "")

    def is_refused_for_its_key(self) -> bool:
        """Whether it is one of the refusals that all requests with a key share. Requires that it is right."""
        effect = self.effect()
        if self.is_not_found():
            return True
        if self.answer.code == "idempotency_key_reused":
            # A session's key stands for the code that opened it, and not for one that was set since.
            other = effect and (effect.signature != self.frame.signature or self.frame.step.kind == "unlock")
            must(other, f"{self.about}: {effect}")
            self.world.seen["a key with another request"] += 1
            return True
        # Nor does a purchase whose page is still missing get one when the account isn't active any more.
        stopped = self.frame.step.kind == "buy" and self.answer.code in NOT_ACTIVE
        free = self.frame.step.kind == "unlock" or self.answer.code == "purchase_not_resumable" or stopped
        if effect is not None and effect.signature == self.frame.signature and not free:
            must(self.answer.status < 400, f"{self.about}, though its key had its effect")
        return False

    def is_refused_for_its_status(self) -> bool:
        """Whether it is refused because the account is frozen or closed. Requires that it was, at some time."""
        if self.answer.code not in NOT_ACTIVE:
            return False
        met = {f"account_{state.terms['status']}" for state, _ in self.states()}
        must(self.answer.code in met, f"{self.about}: it was {met}")
        self.world.seen[f"{self.frame.step.kind} refused: {self.answer.code}"] += 1
        begun = self.ledger.states[self.frame.first_number - 1] if self.frame.first_number else None
        if begun and begun.active:
            self.world.seen[f"a freeze got in before a {self.frame.step.kind}"] += 1
        return True

    def acknowledged(self) -> KeyEffect:
        """The effect that a 201 acknowledges. Requires that it is marked as a replay exactly when it is one."""
        effect = self.effect()
        must(effect is not None, f"{self.about}, and nothing is stored")
        assert effect is not None
        same(effect.signature, self.frame.signature, f"{self.about}: what its key stands for")
        replayed = self.answer.headers.get("idempotent-replayed") == "true"
        if effect.author is not self.frame:
            must(replayed, f"{self.about}: a replay that isn't marked")
            self.world.seen["replay"] += 1
            if self.ledger.states and not self.ledger.state.active:
                self.world.seen["frozen or closed: an old key answered"] += 1
            if effect.author.killed:
                self.world.seen["replay of an effect whose response was lost"] += 1
            if effect.author.begun_moment >= self.frame.begun_moment:
                self.world.seen["replay of a rival with the same key"] += 1
        else:
            must(not replayed or self.frame.met, f"{self.about}: marked as a replay")
            if replayed:
                self.world.seen["replay of an own lost answer"] += 1
        return effect
