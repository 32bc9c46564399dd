"""A step of a history, as data."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Step:
    """kind: what happens. of: whose account. with_: its own details.

    machine: which of the function's machines responds; cold: a new one in its place.
    faults: of the n-th call of its function. rivals: steps that happen just before the n-th call.
    Minus n is the n-th transaction.
    """

    kind: str
    of: int = 0
    with_: tuple[tuple[str, Any], ...] = ()
    machine: int = 0
    cold: bool = False
    faults: tuple[tuple[int, str], ...] = ()
    rivals: tuple[tuple[int, "Step"], ...] = ()

    def __getitem__(self, name: str) -> Any:
        for known, value in self.with_:
            if known == name:
                return value
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """One of its details."""
        for known, value in self.with_:
            if known == name:
                return value
        return default

    def __str__(self) -> str:
        parts = [f"account {self.of}", *(f"{name}={value}" for name, value in self.with_)]
        if self.machine or self.cold:
            parts.append(f"on {'a cold ' if self.cold else ''}machine {self.machine}")
        parts += [f"call {call} meets {fault}" for call, fault in self.faults]
        parts += [f"before call {call}: [{rival}]" for call, rival in self.rivals]
        return f"{self.kind}: {', '.join(parts)}"


def a_step(kind: str, of: int = 0, **details: Any) -> Step:
    """A step without faults or rivals, on a warm machine."""
    return Step(kind, of, tuple(details.items()))
