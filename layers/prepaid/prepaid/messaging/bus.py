"""The event bus: each event with its type, for any number of rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "prepaid"


@dataclass(frozen=True, slots=True)
class SentEvent:
    """An event as it is sent. type: at most 128 characters. text: the whole event as JSON, the bus's detail."""

    account: str
    id: str
    type: str
    at: datetime
    text: str


class NotAccepted(Exception):
    """The bus didn't accept every event. It names error codes only."""


def put_events(client: "EventBridgeClient", bus: str, events: Sequence[SentEvent]) -> None:
    """Put at most ten events on the bus. Raises NotAccepted, botocore's errors."""
    response = client.put_events(
        Entries=[
            {"EventBusName": bus, "Source": SOURCE, "DetailType": event.type, "Time": event.at, "Detail": event.text}
            for event in events
        ]
    )
    # EventBridge returns 200 for a call of which some events failed.
    codes = sorted({entry["ErrorCode"] for entry in response["Entries"] if "ErrorCode" in entry})
    if codes or response["FailedEntryCount"]:
        raise NotAccepted(", ".join(codes))
