"""The rules of the subscription page's links and sessions: how long each of them lasts, and what ends it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

LINK_MINUTES = 10
IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=8)
# A session's last use is stored at most this often, so that most pages write nothing.
TOUCH_AFTER = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalLink:
    """A one-time link to an account's page.

    digest: of the link's token, which is not stored. return_url: the way back to the platform.
    session: the digest of the session that the link opened; None while the link is unused.
    """

    digest: str
    account: str
    language: str
    return_url: str
    expires_at: datetime
    session: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """A manager's session on the page.

    digest: of the cookie's token, which is not stored. code_version: of the code that opened the session.
    seen_at: the last stored use.
    """

    digest: str
    account: str
    language: str
    return_url: str
    code_version: int
    started_at: datetime
    seen_at: datetime


def is_link_open(link: PortalLink, now: datetime) -> bool:
    """Whether the link can still open a session."""
    return link.session is None and now < link.expires_at


def is_session_open(session: PortalSession, code_version: int, now: datetime) -> bool:
    """Whether the session is in use, not too old, and opened by the current code."""
    idle, lasted = now - session.seen_at, now - session.started_at
    return idle < IDLE and lasted < LONGEST and session.code_version == code_version


def ends_at(session: PortalSession) -> datetime:
    """When the session ends if it isn't used again."""
    return min(session.seen_at + IDLE, session.started_at + LONGEST)
