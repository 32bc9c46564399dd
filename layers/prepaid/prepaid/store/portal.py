"""Stored links and sessions of the subscription page. core/portal.py has their rules.

A row holds a digest of the token, never the token. DynamoDB's TTL deletes the row some time after its end.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.errors import IdempotencyKeyReused
from prepaid.core.manager_code import ManagerSession
from prepaid.core.portal import LONGEST, PortalLink, PortalSession
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, ConditionFailed, Item, Table, delete, get, put, transact
from prepaid.store.manager_codes import MANAGER, new_session_put, pepper_of, pepper_to_item

CLAIM, LINK = "claim", "link"
KEEP_LINKS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaim:
    """A key's claim on the link that it made. With the pepper, it suffices to derive the same link again.

    request_hash: of the request that used the key, whatever kind of request that was. pepper: the pepper's version.
    """

    request_hash: bytes
    pepper: int
    expires_at: datetime
    nonce: bytes


def record_link(table: Table, link: PortalLink, claim: LinkClaim, idempotency_key: str) -> None:
    """Store a link with its key's claim, both or none. Raises ConditionFailed naming CLAIM, Busy."""
    claim_item = {
        **keys.claim(link.account, idempotency_key),
        "request_hash": {"B": claim.request_hash},
        "expires_at": {"N": str(milliseconds(claim.expires_at))},
        "nonce": {"B": claim.nonce},
        **pepper_to_item(claim.pepper),
    }
    writes = {
        # Closes the race of two requests with one key, and covers a lost reply: a key makes one link.
        CLAIM: {"Item": claim_item, "ConditionExpression": IF_ABSENT},
        # No other key derives the same token; never overwrite an existing row.
        LINK: {"Item": _link_to_item(link), "ConditionExpression": IF_ABSENT},
    }
    transact(table, writes)


def link_claim_from_item(item: Item, request_hash: bytes) -> LinkClaim:
    """The claim of a request with this hash. Raises IdempotencyKeyReused if the key was used for a different one."""
    if bytes(item["request_hash"]["B"]) != request_hash:
        raise IdempotencyKeyReused
    return LinkClaim(
        request_hash=request_hash,
        pepper=pepper_of(item),
        expires_at=instant(int(item["expires_at"]["N"])),
        nonce=bytes(item["nonce"]["B"]),
    )


def read_link(table: Table, digest: str) -> PortalLink | None:
    """The link whose token has this digest. Raises Busy."""
    item = get(table, keys.portal_link(digest))
    return link_from_item(item) if item else None


def record_entry(
    table: Table, link: PortalLink, session: PortalSession, manager_session: ManagerSession, manager: Item
) -> None:
    """Use up the link and store its two sessions, together with the `manager` write, all or none.

    Raises ConditionFailed naming LINK (used before) or MANAGER (the condition of `manager` failed), Busy.
    """
    writes = {
        MANAGER: manager,
        LINK: {
            "Item": _link_to_item(replace(link, session=session.digest)),
            # Closes the race of two people with one link, and covers a lost reply: a link opens one session.
            "ConditionExpression": "attribute_exists(PK) AND attribute_not_exists(opened)",
        },
        # Both tokens are random; never overwrite an existing row.
        "session": {"Item": session_to_item(session), "ConditionExpression": IF_ABSENT},
        "buying": new_session_put(manager_session),
    }
    transact(table, writes)


def read_portal_session(table: Table, digest: str) -> PortalSession | None:
    """The session whose token has this digest. Raises Busy."""
    item = get(table, keys.portal_session(digest))
    return _session_from_item(item) if item else None


def update_session(table: Table, session: PortalSession) -> None:
    """Store the session's language and last use, unless it has ended meanwhile. Raises Busy."""
    try:
        # Closes the race with leaving: a session that has ended stays ended.
        put(table, {"Item": session_to_item(session), "ConditionExpression": "attribute_exists(PK)"})
    except ConditionFailed:
        return


def delete_session(table: Table, digest: str) -> None:
    """End the session whose token has this digest. Raises Busy."""
    delete(table, keys.portal_session(digest))


def _link_to_item(link: PortalLink) -> Item:
    opened = {"opened": {"S": link.session}} if link.session else {}
    return {
        **keys.portal_link(link.digest),
        "account": {"S": link.account},
        "language": {"S": link.language},
        "return_url": {"S": link.return_url},
        "expires_at": {"N": str(milliseconds(link.expires_at))},
        "ttl": {"N": str(int((link.expires_at + KEEP_LINKS).timestamp()))},
        **opened,
    }


def link_from_item(item: Item) -> PortalLink:
    """The link stored in an item."""
    return PortalLink(
        digest=keys.split(item["PK"]["S"])[1],
        account=item["account"]["S"],
        language=item["language"]["S"],
        return_url=item["return_url"]["S"],
        expires_at=instant(int(item["expires_at"]["N"])),
        session=item["opened"]["S"] if "opened" in item else None,
    )


def session_to_item(session: PortalSession) -> Item:
    """The item that stores a session."""
    return {
        **keys.portal_session(session.digest),
        "account": {"S": session.account},
        "language": {"S": session.language},
        "return_url": {"S": session.return_url},
        "code_version": {"N": str(session.code_version)},
        "started_at": {"N": str(milliseconds(session.started_at))},
        "seen_at": {"N": str(milliseconds(session.seen_at))},
        "ttl": {"N": str(int((session.started_at + LONGEST).timestamp()))},
    }


def _session_from_item(item: Item) -> PortalSession:
    return PortalSession(
        digest=keys.split(item["PK"]["S"])[1],
        account=item["account"]["S"],
        language=item["language"]["S"],
        return_url=item["return_url"]["S"],
        code_version=int(item["code_version"]["N"]),
        started_at=instant(int(item["started_at"]["N"])),
        seen_at=instant(int(item["seen_at"]["N"])),
    )
