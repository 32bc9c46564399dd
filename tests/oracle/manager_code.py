"""How often a manager's code can be tried (rule 10)."""

from dataclasses import dataclass

MAX_TRIES = 5
LOCKS = (60_000, 300_000, 900_000, 3_600_000, 14_400_000)
SESSION_MILLISECONDS = 600_000


@dataclass(frozen=True)
class ManagerCode:
    """The six digits themselves, and the counts of their record. tried_at: of the last try, milliseconds."""

    code: str
    version: int
    revision: int
    tries: int
    locks: int
    tried_at: int

    @property
    def locked_until(self) -> int:
        """When the code can be tried again, if five tries in a row were wrong."""
        return self.tried_at + LOCKS[min(self.locks, len(LOCKS) - 1)] if self.tries == MAX_TRIES else 0

    def after_a_try(self) -> tuple[int, int]:
        """Tries and locks, once one more try is counted: it is counted before it is compared."""
        return (1, self.locks + 1) if self.tries == MAX_TRIES else (self.tries + 1, self.locks)


def retry_after_seconds(until: int, now: int) -> int:
    """Whole seconds, rounded up, at least one."""
    return max(1, -(-(until - now) // 1000))
