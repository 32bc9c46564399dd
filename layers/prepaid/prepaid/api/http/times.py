"""Times in requests and responses: RFC 3339, UTC. Responses, like the ledger, have whole milliseconds."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from prepaid.core.calendar import floor_to_millisecond
from prepaid.core.errors import InvalidRequest


class DateTime:
    """The format of a text in openapi.json. It works without importing pydantic, which slows down a cold start."""

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: Callable[[Any], dict[str, Any]]
    ) -> dict[str, Any]:
        return {**handler(core_schema), "format": "date-time"}


# A time in a response.
Time = Annotated[str, DateTime()]

FIRST_YEAR, LAST_YEAR = 1900, 2500
# Compiled on first use: most requests contain no time.
RFC3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Not the last year, so that no zone or next month overflows.
MONTH = r"(?:19|2[0-4])[0-9]{2}-(?:0[1-9]|1[0-2])"
# A fraction finer than a millisecond. datetime drops digits after the sixth, so the text decides.
FINER = r"\.[0-9]{3}[0-9]*[1-9]"


def read_rfc3339(text: object) -> datetime:
    """The UTC instant in `text`. Raises ValueError with the reason."""
    if not isinstance(text, str) or not re.fullmatch(RFC3339, text):
        raise ValueError("must be an RFC 3339 time with its offset, as in 2026-06-16T13:00:00Z")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date or time that exists") from None
    # Far enough from the limits of datetime that no offset or rounding overflows.
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ValueError(f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    return at.astimezone(UTC)


def parse_rfc3339(text: str, field: str) -> datetime:
    """The UTC instant of a query parameter. Raises InvalidRequest naming `field`."""
    try:
        return read_rfc3339(text)
    except ValueError as error:
        raise InvalidRequest(((field, str(error)),)) from None


def parse_bound(text: str, field: str) -> datetime:
    """The first whole millisecond at or after the instant of a query parameter. Raises InvalidRequest naming `field`.

    Entries have whole milliseconds. So the rounded bound separates the same entries as the instant itself, both as an
    inclusive start and as an exclusive end.
    """
    floored = floor_to_millisecond(parse_rfc3339(text, field))
    return floored + timedelta(milliseconds=1) if re.search(FINER, text) else floored


def parse_day_or_bound(text: str, field: str) -> date | datetime:
    """The civil day in a query parameter, or a time as from parse_bound. Raises InvalidRequest naming `field`."""
    if not re.fullmatch(DAY, text):
        if not re.fullmatch(RFC3339, text):
            raise InvalidRequest(((field, "must be a day, as 2026-06-16, or an RFC 3339 time with its offset"),))
        return parse_bound(text, field)
    day = read_day(text)
    if day is None:
        raise InvalidRequest(((field, f"must be a day that exists, in the years {FIRST_YEAR} to {LAST_YEAR}"),))
    return day


def read_day(text: str) -> date | None:
    """The civil day in `text`, as 2026-06-16; None for anything else."""
    try:
        day = date.fromisoformat(text) if re.fullmatch(DAY, text) else None
    except ValueError:
        return None
    # Far enough from the limits of datetime that no zone overflows.
    return day if day and FIRST_YEAR <= day.year <= LAST_YEAR else None


def read_month(text: str) -> date | None:
    """The first day of the month in `text`, as 2026-06; None for anything else."""
    return date.fromisoformat(f"{text}-01") if re.fullmatch(MONTH, text) else None
