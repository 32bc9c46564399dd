"""The measurements of a race, and the figures that summarize them."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One contender's debits in one case and round.

    p50, p99, seconds, cpu and engine_cpu: seconds. fewest: the debits of the slowest caller, as a part of the mean.
    units: write units of DynamoDB, 0 elsewhere. spent: credits taken, one for each successful debit.
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
        """Whether each successful debit took one credit. A debit that raised an error may have taken one too."""
        return 0 < self.debits <= self.spent <= self.debits + len(self.errors)

    @property
    def cpu_ms(self) -> float:
        """Processor milliseconds of a debit, of the callers and the database together."""
        return (self.cpu + (self.engine_cpu or 0.0)) / max(1, self.debits) * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A contender in one case: medians over the rounds. ratio: its rate divided by Prepaid's in the same round."""

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
    turns_by_contender: dict[str, list[Turn]] = {}
    for turn in turns:
        turns_by_contender.setdefault(turn.contender, []).append(turn)
    table = [_row(name, own_turns, base) for name, own_turns in turns_by_contender.items()]
    return sorted(table, key=lambda row: -row.rate)


def _row(name: str, turns: Sequence[Turn], base: dict[int, float]) -> Row:
    rates = [turn.rate for turn in turns]
    ratios = [turn.rate / base[turn.round] for turn in turns if base.get(turn.round)]
    return Row(
        contender=name,
        rate=statistics.median(rates),
        slowest_rate=min(rates),
        fastest_rate=max(rates),
        ratio=statistics.median(ratios) if ratios else 0.0,
        p50_ms=statistics.median(turn.p50 for turn in turns) * 1000,
        p99_ms=statistics.median(turn.p99 for turn in turns) * 1000,
        cpu_ms=statistics.median(turn.cpu_ms for turn in turns),
        units=statistics.median(turn.units / max(1, turn.debits) for turn in turns),
        errors=sum(len(turn.errors) for turn in turns),
        exact=all(turn.exact for turn in turns),
    )


def noise(turns: Sequence[Turn]) -> tuple[float, float]:
    """How much slower the fixed calculation was than at its fastest: the median, and the slowest tenth."""
    calibrations = sorted(seconds for turn in turns for seconds in turn.calibrations)
    fastest, slow = calibrations[0], calibrations[int(len(calibrations) * 0.9)]
    return statistics.median(calibrations) / fastest, slow / fastest
