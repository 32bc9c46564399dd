"""What a line of the history says about an entry."""

from prepaid.core.entry import Entry

MONEY_BACK = ("refund", "dispute")


def is_shown(entry: Entry) -> bool:
    """Whether people see the entry as a line: it moves credits or quota, or records a use or the account's opening.

    Changes of other terms are entries too, and move nothing.
    """
    moves = entry.credits or entry.quotas or entry.owed
    return bool(moves) or entry.feature is not None or entry.number == 1


def line_name(entry: Entry) -> str:
    """The name of the text that says what the entry is."""
    if entry.number == 1:
        return "type.opened"
    if entry.type in MONEY_BACK and (entry.credits > 0 or entry.owed < 0):
        return f"type.{entry.type}_undone"
    return f"type.{entry.type}"


def line_details(entry: Entry) -> tuple[str, ...]:
    """The words that the platform gave for the entry. The service's own notes in `description` are for operators."""
    description = entry.description if entry.type not in ("purchase", "plan_change") else None
    return tuple(text for text in (description, entry.customer, entry.reference) if text)
