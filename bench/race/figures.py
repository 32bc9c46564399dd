"""What was measured, and what is made of it."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One contender's debits in one case and round.

    p50, p99, seconds, cpu and engine_cpu: seconds. fewest: of the slowest caller, as a part of the mean.
    units: write units of DynamoDB, 0 elsewhere. spent: credits gone, which must be the debits that were answered.
    """

    contender: str
    round: int
    callers: int
    accounts: int
    debits: int
    seconds: float
    p50: float
    p99: float
    fewest: float
    cpu: float
    engine_cpu: float | None
    units: int
    errors: Sequence[str]
    spent: int
    calibrations: Sequence[float]

    @property
    def rate(self) -> float:
        """Debits a second."""
        return self.debits / self.seconds

    @property
    def exact(self) -> bool:
        """Whether as many credits are gone as debits succeeded. A debit with an error may have happened."""
        return 0 < self.debits <= self.spent <= self.debits + len(self.errors)

    @property
    def cpu_ms(self) -> float:
        """Processor time of a debit: of the callers and of the database."""
        return (self.cpu + (self.engine_cpu or 0.0)) / max(1, self.debits) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contender in one case: medians over the rounds. ratio: of its rate to Prepaid's, round by round."""

    contender: str
    rate: float
    slowest_rate: float
    fastest_rate: float
    ratio: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    units: float
    errors: int
    exact: bool


def rows(turns: Sequence[Turn], baseline: str) -> list[Row]:
    """A row for each contender of one case, the fastest first."""
    base = {turn.round: turn.rate for turn in turns if turn.contender == baseline}
    named: dict[str, list[Turn]] = {}
    for turn in turns:
        named.setdefault(turn.contender, []).append(turn)
    made = [_row(name, mine, base) for name, mine in named.items()]
    return sorted(made, key=lambda row: -row.rate)


def _row(name: str, mine: Sequence[Turn], base: dict[int, float]) -> Row:
    rates = [turn.rate for turn in mine]
    ratios = [turn.rate / base[turn.round] for turn in mine if base.get(turn.round)]
    return Row(
        contender=name,
        rate=statistics.median(rates),
        slowest_rate=min(rates),
        fastest_rate=max(rates),
        ratio=statistics.median(ratios) if ratios else 0.0,
        p50_ms=statistics.median(turn.p50 for turn in mine) * 1000,
        p99_ms=statistics.median(turn.p99 for turn in mine) * 1000,
        cpu_ms=statistics.median(turn.cpu_ms for turn in mine),
        units=statistics.median(turn.units / max(1, turn.debits) for turn in mine),
        errors=sum(len(turn.errors) for turn in mine),
        exact=all(turn.exact for turn in mine),
    )


def noise(turns: Sequence[Turn]) -> tuple[float, float]:
    """How much slower the fixed calculation was than at its fastest: the median, and the slowest tenth."""
    taken = sorted(seconds for turn in turns for seconds in turn.calibrations)
    return statistics.median(taken) / taken[0], taken[int(len(taken) * 0.9)] / taken[0]
