"""The parts of an entry that its line in the history shows."""

from prepaid.core.entry import Entry, LotDraw
from prepaid.core.ledger import SERVICE, new_status
from prepaid.core.purchase import ACTOR

MONEY_BACK = ("refund", "dispute")
# The actor of purchases on the page.
THIS_PAGE = "portal"
# The names of the texts for actors that aren't the platform's clients. A client's id means nothing to people.
ASKED_BY = {SERVICE: "lines.by_itself", THIS_PAGE: "lines.by_page", ACTOR: "lines.by_provider"}


def is_shown(entry: Entry) -> bool:
    """Whether the history shows the entry as a line: it moves credits or quota, or records a use, a hold or the
    opening.

    Entries that only change other terms move nothing, so they are hidden.
    """
    moves = entry.credits or entry.quotas or entry.owed
    return bool(moves or entry.holds) or entry.feature is not None or entry.number == 1


def line_name(entry: Entry) -> str:
    """The name of the text for the entry's type."""
    if entry.number == 1:
        return "type.opened"
    if entry.type in MONEY_BACK and (entry.credits > 0 or entry.owed < 0):
        return f"type.{entry.type}_undone"
    status = new_status(entry)
    if status:
        return f"type.became_{status}"
    return f"type.{entry.type}"


def line_details(entry: Entry) -> tuple[str, ...]:
    """The platform's own texts of the entry. Descriptions that the service writes are for operators."""
    description = entry.description if entry.type not in ("purchase", "plan_change") else None
    return tuple(text for text in (description, entry.customer, entry.reference) if text)


def asked_by(entry: Entry) -> str:
    """The name of the text for the entry's actor."""
    return ASKED_BY.get(entry.actor, "lines.by_platform")


def lot_draws(entry: Entry) -> tuple[LotDraw, ...]:
    """The entry's own draws from lots. For a capture these are what returned: its hold had drawn the spent credits."""
    draws = entry.returned if entry.type == "capture" else entry.draws
    return tuple(draw for draw in draws if isinstance(draw, LotDraw))


def earlier_lines(entry: Entry) -> tuple[int, ...]:
    """The numbers of the lines that the entry refers to: the holds that it ends, or the use that it reverses."""
    return entry.holds if entry.reverses is None else (entry.reverses,)
