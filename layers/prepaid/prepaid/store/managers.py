"""The manager's code and sessions: tries are taken by a conditional write before anything is compared."""

import hmac
import secrets
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import scrypt, sha256

from prepaid.core.errors import InvalidRequest, SessionInvalid, WrongCode
from prepaid.core.manager_code import (
    MAX_TRIES,
    SESSION_MINUTES,
    ManagerCode,
    ManagerSession,
    forgive,
    is_good,
    reserve_try,
)
from prepaid.store import keys
from prepaid.store.dynamodb import (
    IF_ABSENT,
    Item,
    LostCondition,
    Patience,
    Table,
    Transient,
    attempts,
    get,
    persist,
    put,
)
from prepaid.store.items import instant, milliseconds

# 16 MB and some tens of milliseconds a comparison; OpenSSL's own limit lies just below that.
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "maxmem": 2**26}
SALT_BYTES, TOKEN_BYTES = 16, 32
# A session's row is of no use once it is over; DynamoDB removes it some time later.
KEEP_SESSIONS = timedelta(days=1)


def change_code(
    table: Table,
    account_id: str,
    new_code: str,
    current_code: str | None,
    pepper: str,
    *,
    now: datetime,
    patience: Patience,
) -> None:
    """Set the code; sessions opened by the old one end. current_code: None from an administrator only.

    Raises WrongCode, CodeLocked, InvalidRequest when it is the code already, Busy.
    """
    held = None
    if current_code is not None:
        held = check_code(table, account_id, current_code, pepper, now=now, patience=patience)
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _digest(new_code, salt, pepper)
    for _ in attempts(patience):
        try:
            stored = _read(table, account_id)
            if stored and stored.salt == salt:
                # Our own earlier attempt, whose answer was lost.
                return
            if held and stored and stored.version != held.version:
                # Changed since we compared: what we were shown isn't the current code any more.
                raise WrongCode(tries_left=MAX_TRIES - stored.tries)
            if stored and hmac.compare_digest(_digest(new_code, stored.salt, pepper), stored.digest):
                raise InvalidRequest((("code", "must differ from the current one"),))
            code = ManagerCode(
                digest=digest,
                salt=salt,
                version=stored.version + 1 if stored else 1,
                revision=stored.revision + 1 if stored else 1,
                tries=0,
                locks=0,
                tried_at=now,
            )
            _write(table, account_id, code, over=stored)
            return
        except (LostCondition, Transient):
            continue


def check_code(
    table: Table, account_id: str, code: str, pepper: str, *, now: datetime, patience: Patience
) -> ManagerCode:
    """The record when `code` is the manager's. Raises WrongCode, CodeLocked (before comparing), Busy."""
    reserved = _reserve(table, account_id, now, patience)
    # The same work when no code is set, so that time doesn't tell.
    salt, expected = (reserved.salt, reserved.digest) if reserved else (bytes(SALT_BYTES), b"")
    right = hmac.compare_digest(_digest(code, salt, pepper), expected)
    if reserved is None or not right:
        raise WrongCode(tries_left=MAX_TRIES - reserved.tries if reserved else MAX_TRIES - 1)
    forgiven = forgive(reserved)
    try:
        persist(patience, _write, table, account_id, forgiven, over=reserved)
    except LostCondition:
        # Somebody else is trying at this moment; their tries stay counted.
        return reserved
    return forgiven


def open_session(
    table: Table, account_id: str, code: str, pepper: str, *, now: datetime, patience: Patience
) -> tuple[str, ManagerSession]:
    """A session and its token, which is shown once and kept by nobody but the caller. Raises as check_code."""
    held = check_code(table, account_id, code, pepper, now=now, patience=patience)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session = ManagerSession(
        digest=token_digest(token),
        account=account_id,
        code_version=held.version,
        expires_at=now + timedelta(minutes=SESSION_MINUTES),
    )
    # Nobody else draws the same token: what stands there is our own write, whose answer was lost.
    with suppress(LostCondition):
        persist(patience, put, table, {"Item": _session_to_item(session), "ConditionExpression": IF_ABSENT})
    return token, session


def require_session(table: Table, account_id: str, token: str, *, now: datetime, patience: Patience) -> ManagerSession:
    """The session that `token` holds, good now for this account. Raises SessionInvalid, Busy."""
    item = persist(patience, get, table, keys.manager_session(token_digest(token)))
    code = persist(patience, _read, table, account_id)
    session = _session_from_item(item) if item else None
    if session is None or code is None or not is_good(session, account_id, code.version, now):
        raise SessionInvalid
    return session


def use_session_put(session: ManagerSession, purchase: str) -> Item:
    """The write that spends a session on one purchase."""
    return {
        "Item": _session_to_item(replace(session, purchase=purchase)),
        # Closes the race of two purchases on one session: the first one takes it.
        "ConditionExpression": "attribute_not_exists(purchase)",
    }


def token_digest(token: str) -> str:
    """What is kept of a session's token."""
    return sha256(token.encode()).hexdigest()


def _reserve(table: Table, account_id: str, now: datetime, patience: Patience) -> ManagerCode | None:
    """Take one try, or find that no code is set. Raises CodeLocked, Busy."""
    for _ in attempts(patience):
        try:
            stored = _read(table, account_id)
            if stored is None:
                return None
            reserved = reserve_try(stored, now)
            _write(table, account_id, reserved, over=stored)
            return reserved
        except (LostCondition, Transient):
            continue
    raise AssertionError("attempts() ends by raising")


def _read(table: Table, account_id: str) -> ManagerCode | None:
    item = get(table, keys.manager(account_id))
    if item is None:
        return None
    return ManagerCode(
        digest=bytes(item["digest"]["B"]),
        salt=bytes(item["salt"]["B"]),
        version=int(item["version"]["N"]),
        revision=int(item["revision"]["N"]),
        tries=int(item["tries"]["N"]),
        locks=int(item["locks"]["N"]),
        tried_at=instant(int(item["tried_at"]["N"])),
    )


def _write(table: Table, account_id: str, code: ManagerCode, *, over: ManagerCode | None) -> None:
    """Write the record over the one that was read. Raises LostCondition, Transient."""
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
    if over is None:
        put(table, {"Item": item, "ConditionExpression": IF_ABSENT})
        return
    put(
        table,
        {
            "Item": item,
            # Closes the race of parallel guesses: each one takes a try that no other one took.
            "ConditionExpression": "revision = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(over.revision)}},
        },
    )


def _digest(code: str, salt: bytes, pepper: str) -> bytes:
    # The pepper isn't in the table: who reads the table alone can't try a million codes.
    return scrypt(hmac.digest(pepper.encode(), code.encode(), "sha256"), salt=salt, **SCRYPT)


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
