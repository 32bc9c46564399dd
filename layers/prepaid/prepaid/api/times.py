"""Instants on the wire: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime

from prepaid.core.errors import InvalidRequest


def rfc3339(at: datetime) -> str:
    """2027-06-17T03:00:00.000Z"""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str, field: str) -> datetime:
    """The UTC instant of a query parameter. Raises InvalidRequest naming `field`."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise InvalidRequest(((field, "must name its offset, as in 2026-06-16T13:00:00Z"),))
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(((field, "must be an RFC 3339 time, as in 2026-06-16T13:00:00Z"),)) from None


def floor_to_millisecond(at: datetime) -> datetime:
    """The same instant without what the ledger doesn't keep; earlier, so that nothing lives longer by it."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
