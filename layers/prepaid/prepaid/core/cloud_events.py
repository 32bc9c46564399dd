"""The envelope of events: CloudEvents 1.0 in JSON, the same on the bus, in webhooks and in the API."""

import json
from datetime import datetime
from typing import Any

from prepaid.core.calendar import rfc3339
from prepaid.core.events import Event

# The schema of `data`. A change that an old consumer can't read gets another name.
SCHEMA = "urn:prepaid:event:v1"


def cloud_event(event: Event, source: str) -> dict[str, Any]:
    """The event as every consumer gets it. source: names the stack."""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": source,
        "type": event.type,
        "subject": event.data["account"],
        "time": rfc3339(event.at),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
        "data": {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in event.data.items()},
    }


def cloud_event_text(event: Event, source: str) -> str:
    """The event as JSON, in ASCII and without spaces. The same event always has the same text."""
    return json.dumps(cloud_event(event, source), separators=(",", ":"))
