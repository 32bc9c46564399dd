"""The manager's code and sessions: tries are taken by a conditional write before anything is compared.

A session's token is kept by nobody. It is derived from the pepper and from what its key's claim says, so that a repeat
of the request, which must bring the right code again, finds the same token:

    take a try -> compare -> record + session + claim in one transaction; on a claim that is there: its session again
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import scrypt, sha256

from prepaid.core.errors import IdempotencyKeyReused, InvalidRequest, SessionInvalid, WrongCode
from prepaid.core.manager_code import (
    MAX_TRIES,
    NO_CODE,
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
    ConditionFailed,
    Item,
    Patience,
    Table,
    Transient,
    attempts,
    get,
    persist,
    put,
    transact,
)
from prepaid.store.items import instant, manager_session_request_hash, milliseconds

MANAGER, SESSION, CLAIM = "manager", "session", "claim"
# 16 MB and some tens of milliseconds a comparison; OpenSSL's own limit lies just below that.
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "maxmem": 2**26}
SALT_BYTES = NONCE_BYTES = 16
# A session's row is of no use once it is over; DynamoDB removes it some time later.
KEEP_SESSIONS = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A session and its token, which only the caller has. replayed: whether the key had opened it before."""

    token: str
    session: ManagerSession
    replayed: bool


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
    """Set the code; sessions opened by the old one end. current_code: None from an administrator only, for whom the
    code that is set already is set: that ends a lock, and no session.

    Raises WrongCode, CodeLocked, InvalidRequest when who has the current code sets it again, Busy.
    """
    held = None
    if current_code is not None:
        held = check_code(table, account_id, current_code, pepper, now=now, patience=patience)
    salt = secrets.token_bytes(SALT_BYTES)
    digest = _digest(new_code, salt, pepper)
    for _ in attempts(patience):
        try:
            stored = _read(table, account_id)
            if stored.salt == salt:
                # Our own earlier attempt, whose answer was lost.
                return
            if held and stored.version != held.version:
                # Changed since we compared: what we were shown isn't the current code any more.
                raise WrongCode(tries_left=MAX_TRIES - stored.tries)
            same = hmac.compare_digest(_digest(new_code, stored.salt, pepper), stored.digest)
            if same and held:
                raise InvalidRequest((("code", "must differ from the current one"),))
            code = forgive(stored) if same else _changed(stored, digest, salt, now)
            _write(table, account_id, code, over=stored)
            return
        except (ConditionFailed, Transient):
            continue


def check_code(
    table: Table, account_id: str, code: str, pepper: str, *, now: datetime, patience: Patience
) -> ManagerCode:
    """The record when `code` is the manager's. Raises WrongCode, CodeLocked (before comparing), Busy."""
    held = _compare(table, account_id, code, pepper, now, patience)
    return _forgive(table, account_id, held, patience)


def open_session(
    table: Table, account_id: str, code: str, idempotency_key: str, pepper: str, *, now: datetime, patience: Patience
) -> Opened:
    """Ten minutes for one purchase, once for the key: a repeat with the right code hears of the same session.

    Raises as check_code, and IdempotencyKeyReused for a key of another request or of a code that was changed since.
    """
    # Before the key is looked up, so that a known one tells nothing about a guess and each guess counts.
    held = _compare(table, account_id, code, pepper, now, patience)
    expires_at = now + timedelta(minutes=SESSION_MINUTES)
    claim = _claim_item(account_id, idempotency_key, held.version, expires_at)
    opened = _opened(claim, account_id, idempotency_key, pepper, replayed=False)
    manager = _record_put(account_id, forgive(held), over=held)
    for _ in attempts(patience):
        try:
            writes = {
                MANAGER: manager,
                # Closes the race of one key used twice at once, and with our own lost answer: one session a key.
                CLAIM: {"Item": claim, "ConditionExpression": IF_ABSENT},
                # Nobody else derives the same token; a row that is there must not be written over.
                SESSION: {"Item": _session_to_item(opened.session), "ConditionExpression": IF_ABSENT},
            }
            transact(table, writes)
            return opened
        except Transient:
            continue
        except ConditionFailed as failed:
            earlier = failed.existing.get(CLAIM)
            if earlier:
                _forgive(table, account_id, held, patience)
                return _replayed(earlier, held, account_id, idempotency_key, pepper)
            found = failed.existing.get(MANAGER)
            if found and int(found["version"]["N"]) != held.version:
                # Changed since we compared: what we were shown isn't the current code any more.
                raise WrongCode(tries_left=MAX_TRIES - int(found["tries"]["N"])) from failed
            # Somebody else is trying at this moment; their tries stay counted, and ours with them.
            manager = code_unchanged(account_id, held.version)
    raise AssertionError("attempts() ends by raising")


def require_session(table: Table, account_id: str, token: str, *, now: datetime, patience: Patience) -> ManagerSession:
    """The session that `token` holds, good now for this account. Raises SessionInvalid, Busy."""
    item = persist(patience, get, table, keys.manager_session(token_digest(token)))
    code = persist(patience, _read, table, account_id)
    session = _session_from_item(item) if item else None
    if session is None or not is_good(session, account_id, code.version, now):
        raise SessionInvalid
    return session


def use_session_put(session: ManagerSession, purchase: str) -> Item:
    """The write that spends a session on one purchase."""
    return {
        "Item": _session_to_item(replace(session, purchase=purchase)),
        # Closes the race of two purchases on one session: the first one takes it.
        "ConditionExpression": "attribute_not_exists(purchase)",
    }


def code_unchanged(account_id: str, version: int) -> Item:
    """The check that travels with what a session of this version of the code is used for."""
    return {
        "Key": keys.manager(account_id),
        # Closes the race with a change of the code: what was read as good a moment ago must still be so.
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(version)}},
    }


def token_digest(token: str) -> str:
    """What is kept of a session's token."""
    return sha256(token.encode()).hexdigest()


def _compare(table: Table, account_id: str, code: str, pepper: str, now: datetime, patience: Patience) -> ManagerCode:
    """The record with one try taken, when `code` is the manager's. Raises as check_code."""
    held = _reserve(table, account_id, now, patience)
    # The same work when no code is set, so that neither time nor count tells.
    if not hmac.compare_digest(_digest(code, held.salt, pepper), held.digest):
        raise WrongCode(tries_left=MAX_TRIES - held.tries)
    return held


def _reserve(table: Table, account_id: str, now: datetime, patience: Patience) -> ManagerCode:
    """Take one try. Raises CodeLocked, Busy."""
    for _ in attempts(patience):
        try:
            stored = _read(table, account_id)
            reserved = reserve_try(stored, now)
            _write(table, account_id, reserved, over=stored)
            return reserved
        except (ConditionFailed, Transient):
            continue
    raise AssertionError("attempts() ends by raising")


def _forgive(table: Table, account_id: str, held: ManagerCode, patience: Patience) -> ManagerCode:
    """The record after the right code, as it was written. Raises Busy."""
    forgiven = forgive(held)
    try:
        persist(patience, _write, table, account_id, forgiven, over=held)
    except ConditionFailed:
        # Somebody else is trying at this moment; their tries stay counted.
        return held
    return forgiven


def _changed(stored: ManagerCode, digest: bytes, salt: bytes, now: datetime) -> ManagerCode:
    """The record of a new code."""
    return ManagerCode(
        digest=digest,
        salt=salt,
        version=stored.version + 1,
        revision=stored.revision + 1,
        tries=0,
        locks=0,
        tried_at=now,
    )


def _read(table: Table, account_id: str) -> ManagerCode:
    item = get(table, keys.manager(account_id))
    if item is None:
        return NO_CODE
    return ManagerCode(
        digest=bytes(item["digest"]["B"]),
        salt=bytes(item["salt"]["B"]),
        version=int(item["version"]["N"]),
        revision=int(item["revision"]["N"]),
        tries=int(item["tries"]["N"]),
        locks=int(item["locks"]["N"]),
        tried_at=instant(int(item["tried_at"]["N"])),
    )


def _write(table: Table, account_id: str, code: ManagerCode, *, over: ManagerCode) -> None:
    """Write the record over the one that was read. Raises ConditionFailed, Transient."""
    put(table, _record_put(account_id, code, over=over))


def _record_put(account_id: str, code: ManagerCode, *, over: ManagerCode) -> Item:
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


def _claim_item(account_id: str, idempotency_key: str, code_version: int, expires_at: datetime) -> Item:
    return {
        **keys.claim(account_id, idempotency_key),
        "request_hash": {"B": manager_session_request_hash()},
        "code_version": {"N": str(code_version)},
        "expires_at": {"N": str(milliseconds(expires_at))},
        # Whoever learns the pepper can't derive a token from a key alone, and no two tables derive the same.
        "nonce": {"B": secrets.token_bytes(NONCE_BYTES)},
    }


def _replayed(claim: Item, held: ManagerCode, account_id: str, idempotency_key: str, pepper: str) -> Opened:
    """The session that the key opened before. Raises IdempotencyKeyReused."""
    if claim["request_hash"]["B"] != manager_session_request_hash() or int(claim["code_version"]["N"]) != held.version:
        raise IdempotencyKeyReused
    return _opened(claim, account_id, idempotency_key, pepper, replayed=True)


def _opened(claim: Item, account_id: str, idempotency_key: str, pepper: str, *, replayed: bool) -> Opened:
    """What a claim stands for."""
    code_version = int(claim["code_version"]["N"])
    # The label keeps tokens apart from everything else under the pepper; no part can hold the newline between.
    said = f"manager session\n{account_id}\n{idempotency_key}\n{code_version}\n".encode() + bytes(claim["nonce"]["B"])
    token = urlsafe_b64encode(hmac.digest(pepper.encode(), said, "sha256")).rstrip(b"=").decode()
    session = ManagerSession(
        digest=token_digest(token),
        account=account_id,
        code_version=code_version,
        expires_at=instant(int(claim["expires_at"]["N"])),
    )
    return Opened(token=token, session=session, replayed=replayed)


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
