"""One transaction of one request, and the auditor's copies of the records that it may hold."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.oracle.catalog import Json

if TYPE_CHECKING:
    from tests.simulation.frames import Frame
    from tests.simulation.writes.auditor import Auditor

NO_NUMBER = 10**12
# An item's key, and the item before and after the write.
type Change = tuple[tuple[str, str], Json | None, Json | None]


@dataclass
class KnownPurchase:
    """A purchase's record as it was last written. shown: the responses to reading it, with the true time of each."""

    record: Json
    shown: list[tuple[int, Json]] = field(default_factory=list)
    granted: bool = False


@dataclass
class KnownSession:
    """A manager's session. version: of the code that opened it."""

    account: str
    version: int
    expires_at: int
    purchase: str = ""


@dataclass(frozen=True)
class Commit:
    """changes: by the first word of their items' keys. lines: of the entries in it, oldest first."""

    auditor: "Auditor"
    frame: "Frame"
    changes: dict[str, list[Change]]
    lines: list[Json]

    @property
    def account(self) -> str:
        return self.frame.account or ""

    @property
    def own_claims(self) -> list[Change]:
        """The claims of the request's own keys. Those of debits that it carries along name their row."""
        return [change for change in self.changes.get("CLAIM", []) if "row" not in (change[2] or {})]

    @property
    def last_own(self) -> int:
        """The number of the request's own last entry, if others follow it in the transaction."""
        if len(self.own_claims) == len(self.changes.get("CLAIM", [])):
            return NO_NUMBER
        return max(int((new or {})["number"]["N"]) for _, _, new in self.own_claims)


def plain(item: Json) -> Json:
    """An item's texts and whole numbers."""
    return {
        name: int(value["N"]) if "N" in value else value.get("S", value.get("BOOL"))
        for name, value in item.items()
        if name not in {"PK", "SK"}
    }
