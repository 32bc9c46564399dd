"""The manager's code and its sessions, as they are stored. What they mean is in use_cases/approving.py."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from prepaid.core.calendar import instant, milliseconds
from prepaid.core.manager_code import NO_CODE, ManagerCode, ManagerSession
from prepaid.store import keys
from prepaid.store.dynamodb import IF_ABSENT, Item, Table, get, put, transact
from prepaid.store.items import manager_session_request_hash

MANAGER, SESSION, CLAIM = "manager", "session", "claim"
# A session's row is of no use once the session is over; DynamoDB removes it some time later.
KEEP_SESSIONS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClaim:
    """What a key keeps of the session that it opened: enough to derive the same token again, together with the pepper.

    own: False for a claim that the key made for another kind of request.
    """

    code_version: int
    expires_at: datetime
    nonce: bytes
    own: bool = True


def read_code(table: Table, account_id: str) -> ManagerCode:
    """The account's code; NO_CODE when none is set. Raises Busy."""
    item = get(table, keys.manager(account_id))
    return code_from_item(item) if item else NO_CODE


def write_code(table: Table, account_id: str, code: ManagerCode, *, over: ManagerCode) -> None:
    """Write the code over the one that was read. Raises ConditionFailed, Busy."""
    put(table, code_put(account_id, code, over=over))


def code_put(account_id: str, code: ManagerCode, *, over: ManagerCode) -> Item:
    """The write of a code over the one that was read."""
    item = {
        **keys.manager(account_id),
        "digest": {"B": code.digest},
        "salt": {"B": code.salt},
        "version": {"N": str(code.version)},
        "revision": {"N": str(code.revision)},
        "tries": {"N": str(code.tries)},
        "locks": {"N": str(code.locks)},
        "tried_at": {"N": str(milliseconds(code.tried_at))},
    }
    # Either closes the race of parallel guesses: each one takes a try that no other one took.
    if over == NO_CODE:
        return {"Item": item, "ConditionExpression": IF_ABSENT}
    return {
        "Item": item,
        "ConditionExpression": "revision = :seen",
        "ExpressionAttributeValues": {":seen": {"N": str(over.revision)}},
    }


def code_unchanged(account_id: str, version: int) -> Item:
    """The check that travels with every write that relies on this version of the code."""
    return {
        "Key": keys.manager(account_id),
        # Closes the race with a change of the code: the code that was compared a moment ago must still be the current.
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }


def code_from_item(item: Item) -> ManagerCode:
    """The code an item holds."""
    return ManagerCode(
        digest=bytes(item["digest"]["B"]),
        salt=bytes(item["salt"]["B"]),
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

    Raises ConditionFailed naming CLAIM (the key was used before) or MANAGER (`manager` lost its condition), Busy.
    """
    claim_item = {
        **keys.claim(session.account, idempotency_key),
        "request_hash": {"B": manager_session_request_hash()},
        "code_version": {"N": str(claim.code_version)},
        "expires_at": {"N": str(milliseconds(claim.expires_at))},
        "nonce": {"B": claim.nonce},
    }
    writes = {
        MANAGER: manager,
        # Closes the race of one key used twice at once, and the loss of a reply: one session a key.
        CLAIM: {"Item": claim_item, "ConditionExpression": IF_ABSENT},
        # No other key derives the same token; a row that exists must not be written over.
        SESSION: {"Item": _session_to_item(session), "ConditionExpression": IF_ABSENT},
    }
    transact(table, writes)


def session_claim_from_item(item: Item) -> SessionClaim:
    """The claim an item holds."""
    if item["request_hash"]["B"] != manager_session_request_hash():
        return SessionClaim(code_version=0, expires_at=instant(0), nonce=b"", own=False)
    return SessionClaim(
        code_version=int(item["code_version"]["N"]),
        expires_at=instant(int(item["expires_at"]["N"])),
        nonce=bytes(item["nonce"]["B"]),
    )


def read_session(table: Table, digest: str) -> ManagerSession | None:
    """The session whose token has this digest. Raises Busy."""
    item = get(table, keys.manager_session(digest))
    return _session_from_item(item) if item else None


def use_session_put(session: ManagerSession, purchase: str) -> Item:
    """The write that spends a session on one purchase."""
    return {
        "Item": _session_to_item(replace(session, purchase=purchase)),
        # Closes the race of two purchases on one session: the first one takes it.
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
