"""A request: as it is sent, while its function runs, and its response."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prepaid.store.catalog import CatalogCache
from prepaid.use_cases.debiting import Crowds
from tests.oracle import requests
from tests.oracle.catalog import Json
from tests.oracle.manager_code import ManagerCode
from tests.simulation.step import Step
from tests.support.gateway_events import Claims

if TYPE_CHECKING:
    from tests.simulation.world import World


class Killed(BaseException):
    """The function's process ended during a call. No handler catches this."""


@dataclass
class Machine:
    """One of a function's machines: its warm state, and the error of its clock."""

    catalog: CatalogCache
    crowds: Crowds
    skew: int = 0


@dataclass(frozen=True)
class ClientRequest:
    """A request as a client can send it again.

    signature: what the request asks for, without its headers. details: what its checks need to know.
    request: the same in the oracle's form, if it leads to an entry.
    """

    kind: str
    route: str
    account: str
    body: Json | None = None
    key: str = ""
    claims: Claims = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    path: tuple[tuple[str, str], ...] = ()
    details: Json = field(default_factory=dict)
    signature: tuple[Any, ...] = ()
    request: requests.Request | None = None


@dataclass
class Answer:
    status: int
    headers: Json
    body: Any

    @property
    def code(self) -> str:
        """Of a problem."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) and self.status >= 400 else ""


@dataclass
class Frame:
    """A function's run. now: by its machine's clock. first_number: of the account's newest entry at its beginning.

    items_done: how many items of a batch can't take effect any more, because a later one has."""

    step: Step
    machine: Machine
    account: str | None
    key: str | None
    details: Json
    signature: tuple[Any, ...]
    request: requests.Request | None
    now: int
    begun_moment: int
    first_number: int
    manager: ManagerCode | None
    calls: int = 0
    writes: int = 0
    silent_until: int = 0
    met: list[str] = field(default_factory=list)
    rivals: int = 0
    rivals_milliseconds: int = 0
    killed: bool = False
    written: set[str] = field(default_factory=set)
    items_done: int = 0
    entries: list[tuple[str, int]] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def instance(self) -> Machine:
        return self.machine

    @property
    def troubled(self) -> bool:
        """Whether it may have reached its deadline: because of faults, of many rivals, or of slow ones."""
        return bool(self.met) or self.rivals > 3 or self.rivals_milliseconds > 1_000

    @property
    def code_version(self) -> int:
        return self.manager.version if self.manager else 0


class Context:
    """Lambda's context: the time left, here by the number of calls that are left."""

    aws_request_id = "8a2f1c9e-0000-4000-8000-000000000001"
    function_name = "under-test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:under-test"

    def __init__(self, world: "World", calls: int | None) -> None:
        self._world, self._calls = world, calls

    def get_remaining_time_in_millis(self) -> int:
        if self._calls is not None and self._world.frame.calls >= self._calls:
            return 0
        return 300_000
