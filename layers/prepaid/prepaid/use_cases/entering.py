"""Entering the subscription page: a one-time link, the manager's code, and the session that they open.

    the platform makes a link -> the manager opens it, which changes nothing -> the right code uses up the link and
    opens a session, in one transaction with the count of tries

The code also opens a manager session, so the first purchase within ten minutes needs no further code (rule 10).
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from prepaid.core.errors import (
    Busy,
    PortalLinkInvalid,
    PortalLinkUsed,
    PortalSessionEnded,
    WrongCode,
)
from prepaid.core.manager_code import MAX_TRIES, SESSION_MINUTES, ManagerSession, clear_tries
from prepaid.core.portal import LINK_MINUTES, TOUCH_AFTER, PortalLink, PortalSession, is_link_open, is_session_open
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.manager_codes import MANAGER, code_from_item, code_put, code_unchanged, read_code
from prepaid.store.portal import (
    CLAIM,
    LINK,
    LinkClaim,
    delete_session,
    link_claim_from_item,
    link_from_item,
    read_link,
    read_portal_session,
    record_entry,
    record_link,
    update_session,
)
from prepaid.use_cases.approving import NONCE_BYTES, CodeSecrets, compare, token_digest

TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRequest:
    """A request for a link, with its defaults filled in. request_hash: of the request as it was sent."""

    language: str
    return_url: str
    request_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLink:
    """A link's token, which only the caller keeps. replayed: whether an earlier request made the link."""

    token: str
    expires_at: datetime
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """A session and its token, which only the cookie keeps."""

    token: str
    session: PortalSession


def make_link(
    table: Table, account_id: str, idempotency_key: str, request: LinkRequest, codes: CodeSecrets, *, now: datetime
) -> NewLink:
    """Make a one-time link to the account's page, once per key. A retry gets the same link.

    Raises IdempotencyKeyReused, Busy.
    """
    claim = LinkClaim(
        request_hash=request.request_hash,
        pepper=codes.peppers.current,
        expires_at=now + timedelta(minutes=LINK_MINUTES),
        # The token derives from the nonce too: the key and the pepper alone don't suffice.
        nonce=codes.random_bytes(NONCE_BYTES),
    )
    token = _link_token(account_id, idempotency_key, claim, codes)
    link = PortalLink(
        digest=token_digest(token),
        account=account_id,
        language=request.language,
        return_url=request.return_url,
        expires_at=claim.expires_at,
    )
    try:
        record_link(table, link, claim, idempotency_key)
    except ConditionFailed as failed:
        stored = failed.existing.get(CLAIM)
        assert stored is not None, "no other link has the same token"
        earlier = link_claim_from_item(stored, request.request_hash)
        token = _link_token(account_id, idempotency_key, earlier, codes)
        return NewLink(token=token, expires_at=earlier.expires_at, replayed=True)
    return NewLink(token=token, expires_at=claim.expires_at, replayed=False)


def open_link(table: Table, token: str, *, now: datetime) -> PortalLink:
    """The link of `token`, if it can open a session. Changes nothing, because previews and scanners fetch links.

    Raises PortalLinkUsed, PortalLinkInvalid, Busy.
    """
    link = read_link(table, token_digest(token))
    if link is None or now >= link.expires_at:
        raise PortalLinkInvalid
    if not is_link_open(link, now):
        raise PortalLinkUsed(language=link.language, return_url=link.return_url)
    return link


def enter(
    table: Table, link: PortalLink, code: str, codes: CodeSecrets, *, now: datetime, instead_of: str | None = None
) -> Entered:
    """Use up the link and open a session, if `code` is right; the try is counted first (rule 10).

    instead_of: the token of the browser's previous session, which ends, whatever account it belongs to.
    Raises WrongCode and CodeLocked, which leave the link usable; PortalLinkUsed, PortalLinkInvalid, Busy.
    """
    checked = compare(table, link.account, code, codes, now=now)
    if instead_of is not None:
        # Before the new session exists: if the process dies in between, no session is open, rather than the old one.
        delete_session(table, token_digest(instead_of))
    token = urlsafe_b64encode(codes.random_bytes(TOKEN_BYTES)).rstrip(b"=").decode()
    session = PortalSession(
        digest=token_digest(token),
        account=link.account,
        language=link.language,
        return_url=link.return_url,
        code_version=checked.version,
        started_at=now,
        seen_at=now,
    )
    manager_session = ManagerSession(
        digest=token_digest(first_manager_session(token)),
        account=link.account,
        code_version=checked.version,
        expires_at=now + timedelta(minutes=SESSION_MINUTES),
    )
    manager = code_put(link.account, clear_tries(checked), over=checked)
    for _ in attempts(table.deadline):
        try:
            record_entry(table, link, session, manager_session, manager)
            return Entered(token=token, session=session)
        except ConditionFailed as failed:
            if LINK in failed.existing:
                item = failed.existing[LINK]
                if item is None:
                    # The link has expired, and DynamoDB's TTL has deleted it.
                    raise PortalLinkInvalid from failed
                if link_from_item(item).session == session.digest:
                    # This request's own write, whose reply was lost.
                    return Entered(token=token, session=session)
                raise PortalLinkUsed(language=link.language, return_url=link.return_url) from failed
            stored = failed.existing.get(MANAGER)
            if stored and code_from_item(stored).version != checked.version:
                # Changed since the comparison: the compared code is no longer the current one.
                raise WrongCode(tries_left=MAX_TRIES - code_from_item(stored).tries) from failed
            # Another request reserved a try meanwhile. Its tries stay counted, and so do this request's.
            manager = code_unchanged(link.account, checked.version)
    raise Busy


def session_of(table: Table, token: str, *, now: datetime) -> PortalSession:
    """The open session of `token`. Stores its last use, at most every few minutes. Raises PortalSessionEnded, Busy."""
    session = read_portal_session(table, token_digest(token))
    if session is None or not is_session_open(session, read_code(table, session.account).version, now):
        raise PortalSessionEnded
    if now - session.seen_at < TOUCH_AFTER:
        return session
    used = replace(session, seen_at=now)
    update_session(table, used)
    return used


def first_manager_session(token: str) -> str:
    """The token of the manager session that was opened together with the portal session `token`."""
    return sha256(f"manager session\n{token}".encode()).hexdigest()


def _link_token(account_id: str, idempotency_key: str, claim: LinkClaim, codes: CodeSecrets) -> str:
    # The label separates tokens from other uses of the pepper. No part can contain the newline separator.
    message = f"portal link\n{account_id}\n{idempotency_key}\n".encode() + claim.nonce
    pepper = codes.peppers.value(claim.pepper)
    return urlsafe_b64encode(hmac.digest(pepper.encode(), message, "sha256")).rstrip(b"=").decode()
