"""The manager's code and the sessions it opens (rule 10). Every try is counted before the code is compared.

No session token is stored. It is derived from the pepper and the claim of the key that opened the session. So a retry
of the request, which must contain the right code again, gets the same token:

    reserve a try -> compare -> store code, session and claim in one transaction
                                (if the claim exists: derive its session)
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import scrypt, sha256

from prepaid.core.account import Terms, require_active
from prepaid.core.errors import Busy, IdempotencyKeyReused, InvalidRequest, SessionInvalid, WrongCode
from prepaid.core.manager_code import (
    MAX_TRIES,
    SESSION_MINUTES,
    ManagerCode,
    ManagerSession,
    clear_tries,
    is_usable,
    reserve_try,
)
from prepaid.store.dynamodb import ConditionFailed, Table, attempts
from prepaid.store.manager_codes import (
    CLAIM,
    MANAGER,
    SessionClaim,
    code_from_item,
    code_put,
    code_unchanged,
    read_code,
    read_session,
    read_session_claim,
    record_session,
    session_claim_from_item,
    write_code,
)
from prepaid.store.secrets import Versions

# A comparison takes 16 MB and some tens of milliseconds. OpenSSL's default limit of 32 MB would reject a doubled cost.
SCRYPT_COST = 2**14
SCRYPT_MEMORY_BYTES = 2**26
SALT_BYTES = NONCE_BYTES = 16


def slow_digest(peppered: bytes, salt: bytes, cost: int = SCRYPT_COST) -> bytes:
    """The digest of a code. cost: a power of two; it makes each comparison deliberately slow."""
    return scrypt(peppered, salt=salt, n=cost, r=8, p=1, maxmem=SCRYPT_MEMORY_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSecrets:
    """The secrets behind codes and tokens. peppers: part of each code's digest and each token; both name its version.

    random_bytes: the source of salts and nonces. slow_digest: the digest of a peppered code with its salt.
    """

    peppers: Versions
    random_bytes: Callable[[int], bytes] = secrets.token_bytes
    slow_digest: Callable[[bytes, bytes], bytes] = slow_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedSession:
    """A session and its token, which only the caller keeps. replayed: whether an earlier request opened the session."""

    token: str
    session: ManagerSession
    replayed: bool


def change_code(
    table: Table, account_id: str, new_code: str, current_code: str | None, codes: CodeSecrets, *, now: datetime
) -> None:
    """Set the code and end the sessions that the old code opened.

    current_code: None from an administrator only. If an administrator sets the same code again, that ends a lock but no
    session. Raises WrongCode, CodeLocked, Busy, and InvalidRequest if current_code is given and equals new_code.
    """
    checked = check_code(table, account_id, current_code, codes, now=now) if current_code is not None else None
    salt = codes.random_bytes(SALT_BYTES)
    pepper = codes.peppers.current
    digest = code_digest(new_code, salt, pepper, codes)
    for _ in attempts(table.deadline):
        stored = read_code(table, account_id)
        if stored.salt == salt:
            # An earlier attempt of this request succeeded, but its reply was lost.
            return
        if checked and stored.version != checked.version:
            # Changed since the comparison: the compared code is no longer the current one.
            raise WrongCode(tries_left=MAX_TRIES - stored.tries)
        is_same_code = _is_right(new_code, stored, codes)
        if is_same_code and checked:
            raise InvalidRequest((("code", "must differ from the current one"),))
        code = (
            clear_tries(_renewed(new_code, stored, codes))
            if is_same_code
            else _changed(stored, digest, salt, pepper, now)
        )
        try:
            write_code(table, account_id, code, over=stored)
            return
        except ConditionFailed:
            continue
    raise Busy


def check_code(table: Table, account_id: str, code: str, codes: CodeSecrets, *, now: datetime) -> ManagerCode:
    """The stored code, if `code` is right. Raises WrongCode, CodeLocked (before comparing), Busy."""
    return _clear_tries(table, account_id, compare(table, account_id, code, codes, now=now))


def compare(table: Table, account_id: str, code: str, codes: CodeSecrets, *, now: datetime) -> ManagerCode:
    """The stored code with one try reserved, if `code` is right. The caller resets the tries. Raises as check_code.

    If the digest is under an earlier pepper, the returned record has it under the current one, for the caller to store.
    """
    checked = _reserve(table, account_id, now)
    # The same work when no code is set, so that neither time nor the count of tries reveals that.
    if not _is_right(code, checked, codes):
        raise WrongCode(tries_left=MAX_TRIES - checked.tries)
    return _renewed(code, checked, codes)


def open_session(
    table: Table, account_id: str, terms: Terms, code: str, idempotency_key: str, codes: CodeSecrets, *, now: datetime
) -> OpenedSession:
    """Open a session of ten minutes for one purchase, once per key. A retry with the right code gets the same session.

    terms: the account's. Raises the same as check_code, IdempotencyKeyReused if the key belongs to a different request
    or to a code that was changed since, AccountFrozen, AccountClosed.
    """
    # Compare before looking up the key: a known key must not reveal whether a guess is right, and each guess counts.
    checked = compare(table, account_id, code, codes, now=now)
    if terms.status != "active":
        # The key takes precedence (rule 5).
        used_claim = read_session_claim(table, account_id, idempotency_key)
        _clear_tries(table, account_id, checked)
        if used_claim:
            return _replayed(used_claim, checked, account_id, idempotency_key, codes)
        require_active(terms)
    claim = SessionClaim(
        code_version=checked.version,
        pepper=codes.peppers.current,
        expires_at=now + timedelta(minutes=SESSION_MINUTES),
        # The token derives from the nonce too: the key and the pepper alone don't suffice, and no two tables derive the
        # same token.
        nonce=codes.random_bytes(NONCE_BYTES),
    )
    opened = derive_session(claim, account_id, idempotency_key, codes, replayed=False)
    manager = code_put(account_id, clear_tries(checked), over=checked)
    for _ in attempts(table.deadline):
        try:
            record_session(table, opened.session, claim, idempotency_key, manager)
            return opened
        except ConditionFailed as failed:
            earlier = failed.existing.get(CLAIM)
            if earlier:
                _clear_tries(table, account_id, checked)
                return _replayed(session_claim_from_item(earlier), checked, account_id, idempotency_key, codes)
            stored = failed.existing.get(MANAGER)
            if stored and code_from_item(stored).version != checked.version:
                # Changed since the comparison: the compared code is no longer the current one.
                raise WrongCode(tries_left=MAX_TRIES - code_from_item(stored).tries) from failed
            # Another request reserved a try meanwhile. Its tries stay counted, and so do this request's.
            manager = code_unchanged(account_id, checked.version)
    raise Busy


def require_session(table: Table, account_id: str, token: str, *, now: datetime) -> ManagerSession:
    """The session of `token`, if this account can use it now. Raises SessionInvalid, Busy."""
    session = read_session(table, token_digest(token))
    code = read_code(table, account_id)
    if session is None or not is_usable(session, account_id, code.version, now):
        raise SessionInvalid
    return session


def token_digest(token: str) -> str:
    """The digest under which a session's token is stored."""
    return sha256(token.encode()).hexdigest()


def _reserve(table: Table, account_id: str, now: datetime) -> ManagerCode:
    """Reserve one try and return the stored code. Raises CodeLocked, Busy."""
    for _ in attempts(table.deadline):
        stored = read_code(table, account_id)
        reserved = reserve_try(stored, now)
        try:
            write_code(table, account_id, reserved, over=stored)
            return reserved
        except ConditionFailed:
            continue
    raise Busy


def _clear_tries(table: Table, account_id: str, checked: ManagerCode) -> ManagerCode:
    """Reset the tries after a right code and return the stored code. Raises Busy."""
    cleared = clear_tries(checked)
    try:
        write_code(table, account_id, cleared, over=checked)
    except ConditionFailed:
        # Another request reserved a try meanwhile; its tries stay counted.
        return checked
    return cleared


def _changed(stored: ManagerCode, digest: bytes, salt: bytes, pepper: int, now: datetime) -> ManagerCode:
    """The record of a new code, which replaces the stored one."""
    return ManagerCode(
        digest=digest,
        salt=salt,
        pepper=pepper,
        version=stored.version + 1,
        revision=stored.revision + 1,
        tries=0,
        locks=0,
        tried_at=now,
    )


def _replayed(
    claim: SessionClaim, checked: ManagerCode, account_id: str, idempotency_key: str, codes: CodeSecrets
) -> OpenedSession:
    """The session that the key opened earlier. Raises IdempotencyKeyReused."""
    if not claim.opened_session or claim.code_version != checked.version:
        raise IdempotencyKeyReused
    return derive_session(claim, account_id, idempotency_key, codes, replayed=True)


def derive_session(
    claim: SessionClaim, account_id: str, idempotency_key: str, codes: CodeSecrets, *, replayed: bool
) -> OpenedSession:
    """The session and token derived from a claim."""
    # The label separates tokens from other uses of the pepper. No part can contain the newline separator.
    message = f"manager session\n{account_id}\n{idempotency_key}\n{claim.code_version}\n".encode() + claim.nonce
    pepper = codes.peppers.value(claim.pepper)
    token = urlsafe_b64encode(hmac.digest(pepper.encode(), message, "sha256")).rstrip(b"=").decode()
    session = ManagerSession(
        digest=token_digest(token),
        account=account_id,
        code_version=claim.code_version,
        expires_at=claim.expires_at,
    )
    return OpenedSession(token=token, session=session, replayed=replayed)


def _is_right(code: str, stored: ManagerCode, codes: CodeSecrets) -> bool:
    """Whether `code` is the stored one. If the stored one's pepper was removed from the secret, no code is right."""
    # Without a code there is no pepper to look for.
    pepper = stored.pepper if stored.version else codes.peppers.current
    return hmac.compare_digest(code_digest(code, stored.salt, pepper, codes), stored.digest)


def _renewed(code: str, checked: ManagerCode, codes: CodeSecrets) -> ManagerCode:
    """The record of a right code, re-hashed with the current pepper.

    checked: unchanged if its pepper is current, or newer than this process knows.
    """
    if checked.pepper >= codes.peppers.current:
        return checked
    salt, pepper = codes.random_bytes(SALT_BYTES), codes.peppers.current
    return replace(checked, digest=code_digest(code, salt, pepper, codes), salt=salt, pepper=pepper)


def code_digest(code: str, salt: bytes, pepper: int, codes: CodeSecrets) -> bytes:
    """The stored digest of a code. pepper: a version."""
    # The pepper isn't in the table, so that the table alone doesn't suffice to try all million codes.
    peppered = hmac.digest(codes.peppers.value(pepper).encode(), code.encode(), "sha256")
    return codes.slow_digest(peppered, salt)
