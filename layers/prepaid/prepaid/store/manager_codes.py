"""Stored records of the manager's code and its sessions. use_cases/approving.py has their rules."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.manager_code import NO_CODE, ManagerCode, ManagerSession
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, Item, Table, get, put, transact
from prepaid.store.items import manager_session_request_hash
from prepaid.store.secrets import FIRST_VERSION

MANAGER, SESSION, CLAIM = "manager", "session", "claim"
# A session's row is useless once the session has expired; DynamoDB's TTL deletes it some time later.
KEEP_SESSIONS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaim:
    """A key's claim on the session that it opened. With the pepper, it suffices to derive the same token again.

    pepper: the pepper's version. opened_session: False when the key was used for another kind of request.
    """

    code_version: int
    pepper: int
    expires_at: datetime
    nonce: bytes
    opened_session: bool = True


def read_code(table: Table, account_id: str) -> ManagerCode:
    """The account's code; NO_CODE when none is set. Raises Busy."""
    item = get(table, keys.manager(account_id))
    return code_from_item(item) if item else NO_CODE


def write_code(table: Table, account_id: str, code: ManagerCode, *, over: ManagerCode) -> None:
    """Replace record `over`, as it was read, with `code`. Raises ConditionFailed, Busy."""
    put(table, code_put(account_id, code, over=over))


def code_put(account_id: str, code: ManagerCode, *, over: ManagerCode) -> Item:
    """The write that replaces record `over`, as it was read, with `code`."""
    item = {
        **keys.manager(account_id),
        "digest": {"B": code.digest},
        "salt": {"B": code.salt},
        "version": {"N": str(code.version)},
        "revision": {"N": str(code.revision)},
        "tries": {"N": str(code.tries)},
        "locks": {"N": str(code.locks)},
        "tried_at": {"N": str(milliseconds(code.tried_at))},
        **pepper_to_item(code.pepper),
    }
    # Either condition closes the race of parallel guesses: each request reserves a try of its own.
    if over == NO_CODE:
        return {"Item": item, "ConditionExpression": IF_ABSENT}
    return {
        "Item": item,
        "ConditionExpression": "revision = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(over.revision)}},
    }


def pepper_to_item(version: int) -> Item:
    """The attribute with a pepper's version. The first version has none, as rows had none before versions existed."""
    return {"pepper": {"N": str(version)}} if version != FIRST_VERSION else {}


def pepper_of(item: Item) -> int:
    """The version of the pepper that an item names. Raises ValueError."""
    return int(item["pepper"]["N"]) if "pepper" in item else FIRST_VERSION


def code_unchanged(account_id: str, version: int) -> Item:
    """The condition check for every transaction that relies on this version of the code."""
    return {
        "Key": keys.manager(account_id),
        # Closes the race with a change of the code: the compared code must still be the current one.
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }


def code_from_item(item: Item) -> ManagerCode:
    """The code record stored in an item."""
    return ManagerCode(
        digest=bytes(item["digest"]["B"]),
        salt=bytes(item["salt"]["B"]),
        pepper=pepper_of(item),
        version=int(item["version"]["N"]),
        revision=int(item["revision"]["N"]),
        tries=int(item["tries"]["N"]),
        locks=int(item["locks"]["N"]),
        tried_at=instant(int(item["tried_at"]["N"])),
    )


def record_session(
    table: Table, session: ManagerSession, claim: SessionClaim, idempotency_key: str, manager: Item
) -> None:
    """Store a session with its key's claim and the `manager` write, all or none.

    Raises ConditionFailed naming CLAIM (the key was used before) or MANAGER (the condition of `manager` failed), Busy.
    """
    claim_item = {
        **keys.claim(session.account, idempotency_key),
        "request_hash": {"B": manager_session_request_hash()},
        "code_version": {"N": str(claim.code_version)},
        "expires_at": {"N": str(milliseconds(claim.expires_at))},
        "nonce": {"B": claim.nonce},
        **pepper_to_item(claim.pepper),
    }
    writes = {
        MANAGER: manager,
        # Closes the race of two requests with one key, and covers a lost reply: a key opens one session.
        CLAIM: {"Item": claim_item, "ConditionExpression": IF_ABSENT},
        SESSION: new_session_put(session),
    }
    transact(table, writes)


def new_session_put(session: ManagerSession) -> Item:
    """The write that stores a new session."""
    # No other request derives or draws the same token; never overwrite an existing row.
    return {"Item": _session_to_item(session), "ConditionExpression": IF_ABSENT}


def read_session_claim(table: Table, account_id: str, idempotency_key: str) -> SessionClaim | None:
    """The claim of a key, which may be of another kind of request; None when the key had no effect. Raises Busy."""
    item = get(table, keys.claim(account_id, idempotency_key))
    return session_claim_from_item(item) if item else None


def session_claim_from_item(item: Item) -> SessionClaim:
    """The session claim stored in an item."""
    if item["request_hash"]["B"] != manager_session_request_hash():
        return SessionClaim(
            code_version=0, pepper=FIRST_VERSION, expires_at=instant(0), nonce=b"", opened_session=False
        )
    return SessionClaim(
        code_version=int(item["code_version"]["N"]),
        pepper=pepper_of(item),
        expires_at=instant(int(item["expires_at"]["N"])),
        nonce=bytes(item["nonce"]["B"]),
    )


def read_session(table: Table, digest: str) -> ManagerSession | None:
    """The session whose token has this digest. Raises Busy."""
    item = get(table, keys.manager_session(digest))
    return _session_from_item(item) if item else None


def use_session_put(session: ManagerSession, purchase: str) -> Item:
    """The write that marks a session as used by `purchase`."""
    return {
        "Item": _session_to_item(replace(session, purchase=purchase)),
        # Closes the race of two purchases with one session: only the first one uses it.
        "ConditionExpression": "attribute_not_exists(purchase)",
    }


def _session_to_item(session: ManagerSession) -> Item:
    used = {"purchase": {"S": session.purchase}} if session.purchase else {}
    return {
        **keys.manager_session(session.digest),
        "account": {"S": session.account},
        "code_version": {"N": str(session.code_version)},
        "expires_at": {"N": str(milliseconds(session.expires_at))},
        "ttl": {"N": str(int((session.expires_at + KEEP_SESSIONS).timestamp()))},
        **used,
    }


def _session_from_item(item: Item) -> ManagerSession:
    return ManagerSession(
        digest=item["PK"]["S"].removeprefix(keys.SESSION_PREFIX),
        account=item["account"]["S"],
        code_version=int(item["code_version"]["N"]),
        expires_at=instant(int(item["expires_at"]["N"])),
        purchase=item["purchase"]["S"] if "purchase" in item else None,
    )
