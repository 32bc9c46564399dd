"""What lies outside the table: the webhook's queue, the bus and the platform's receiver, behind calls that can fail."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prepaid.deps import Outbox, Webhook
from prepaid.messaging.bus import SentEvent
from prepaid.messaging.webhook import Reply
from prepaid.store.dynamodb import Deadline
from prepaid.use_cases.delivering import SUCCESSES

# How a call to any of them is named among the calls of an invocation.
OUTSIDE = "outside"
TARGET = "https://app.example.com/prepaid"
SECRET = f"whsec_{base64.b64encode(bytes(32)).decode()}"

type Call = Callable[[str, Callable[[], Any]], Any]


class NoAnswer(Exception):
    """A call to the queue, the bus or the receiver had no answer, or a refusal."""


@dataclass
class Outside:
    """call: makes a call, under its name, unless a fault meets it. queue, bus: the ids that they accepted, by account.

    accepted, given_up: the ids that the receiver and the dead letters accepted. status: the receiver's answer.
    """

    call: Call
    status: int = 200
    queue: list[tuple[str, str]] = field(default_factory=list)
    bus: list[tuple[str, str]] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def outbox(self) -> Outbox:
        return Outbox(to_webhook=self._to_webhook, to_bus=self._to_bus)

    def webhook(self, secret: Callable[[Deadline], str]) -> Webhook:
        return Webhook(
            target=TARGET,
            secret=secret,
            post=self._post,
            hide=lambda _receipt, _seconds: self.call(f"{OUTSIDE} hide", lambda: None),
            give_up=lambda _account, event, _text: self.call(f"{OUTSIDE} give up", lambda: self.given_up.append(event)),
        )

    def save(self) -> tuple[Any, ...]:
        return self.status, *(tuple(found) for found in (self.queue, self.bus, self.accepted, self.given_up))

    def load(self, saved: tuple[Any, ...]) -> None:
        self.status, *lists = saved
        self.queue, self.bus, self.accepted, self.given_up = map(list, lists)

    def first_deliveries(self) -> list[Any]:
        """What arrived where, without repeats. Only the order of an account's events is promised."""
        by_account = [sorted(dict.fromkeys(found), key=lambda event: event[0]) for found in (self.queue, self.bus)]
        return [*by_account, *(list(dict.fromkeys(found)) for found in (self.accepted, self.given_up))]

    def _to_webhook(self, event: SentEvent) -> None:
        self.call(f"{OUTSIDE} send", lambda: self.queue.append((event.account, event.id)))

    def _to_bus(self, events: Sequence[SentEvent]) -> None:
        self.call(f"{OUTSIDE} put events", lambda: self.bus.extend((event.account, event.id) for event in events))

    def _post(self, _target: str, _body: str, headers: Mapping[str, str]) -> Reply:
        def send() -> Reply:
            if self.status in SUCCESSES:
                self.accepted.append(headers["webhook-id"])
            return Reply(self.status)

        try:
            reply: Reply = self.call(f"{OUTSIDE} post", send)
        except NoAnswer:
            return Reply(0)
        return reply


def no_answer(_: Callable[[], Any]) -> Any:
    """The call never arrives, or is refused."""
    raise NoAnswer


def answer_lost(send: Callable[[], Any]) -> Any:
    """The call takes effect; its answer doesn't arrive."""
    send()
    raise NoAnswer
