"""Generates docs/events.schema.json: `python -m prepaid.api.event_schema` writes it, `--check` compares it.

No function imports this module, so it doesn't slow down any request.
"""

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter

from prepaid.api.events import EventResponse
from prepaid.api.generated import write_or_check
from prepaid.core.cloud_events import SCHEMA
from prepaid.core.entry import EntryType
from prepaid.core.events import Alert, alert_event, entry_event

FILE = Path("docs/events.schema.json")
REF = "#/$defs/{model}"

# The members that every event of a type has, besides `account`.
OF_ENTRIES = ("entry", "credits", "quota", "owed", "balance")
OF_CHARGES = ("feature", "quantity", "source")
OF_TYPE: dict[EntryType, tuple[str, ...]] = {
    "purchase": ("lot", "purchase"),
    "grant": ("lot",),
    "adjustment": ("lot",),
    "consumption": OF_CHARGES,
    "reversal": ("feature", "quantity", "reverses"),
    "hold": ("feature", "quantity", "holds"),
    "capture": (*OF_CHARGES, "holds"),
    "release": ("holds",),
    "refund": ("purchase",),
    "dispute": ("purchase",),
}
OF_QUOTA_ALERTS = ("entry", "balance", "feature", "limit", "used", "remaining")
OF_ALERT: dict[Alert, tuple[str, ...]] = {
    "quota_80": OF_QUOTA_ALERTS,
    "quota_exhausted": OF_QUOTA_ALERTS,
    "credits_low": ("entry", "balance", "threshold"),
    "credits_exhausted": ("entry", "balance"),
    "credits_owed": ("entry", "balance", "owed"),
    "lot_expiring": ("lot", "credits", "days", "expires_at"),
    "purchase_pending": ("purchase", "version"),
    "purchase_failed": ("purchase", "version"),
    "purchase_granted": ("entry", "balance", "purchase"),
    "code_locked": ("version",),
}


def document() -> dict[str, Any]:
    """The JSON Schema of an event, in the dialect 2020-12."""
    event = TypeAdapter(EventResponse).json_schema(mode="serialization", ref_template=REF)
    event["properties"]["dataschema"] = {"type": "string", "const": SCHEMA}
    types = {entry_event(type_): (*OF_ENTRIES, *OF_TYPE.get(type_, ())) for type_ in get_args(EntryType)}
    types |= {alert_event(alert): OF_ALERT[alert] for alert in get_args(Alert)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **event,
        "title": "Event",
        "allOf": [_always(type_, members) for type_, members in types.items()],
    }


def _always(type_: str, members: tuple[str, ...]) -> dict[str, Any]:
    return {
        "if": {"properties": {"type": {"const": type_}}},
        "then": {"properties": {"data": {"required": ["account", *members]}}},
    }


if __name__ == "__main__":
    sys.exit(write_or_check(FILE, document()))
