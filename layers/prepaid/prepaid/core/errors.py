"""Every error of the service, as one tree. `code` is stable: clients and the problem+json table rely on it.

PrepaidError
├── Refused                    a rule rejects the request; nothing was written
│   ├── InvalidRequest         the request itself is invalid; names each field
│   ├── AccountNotFound        no such account, or another caller's: the responses are alike
│   ├── InsufficientCredits    quota and lots don't cover the debit
│   ├── TooManyLots            a gift to an account that already holds the most lots it may
│   ├── IdempotencyKeyReused   the key took effect before, for a different request
│   ├── VersionConflict        the resource was changed since the caller read it
│   ├── WrongCode              not the manager's code
│   ├── CodeLocked             too many wrong codes; the right one is rejected too, for a while
│   ├── SessionInvalid         no manager session that this purchase can use
│   ├── PurchaseNotFound       the account has no such purchase
│   └── PurchaseLapsed         a purchase that can't be continued
└── Unavailable                retry; the effect, if any, is found by its key
    └── Busy                   not committed before the deadline: contention, throttling or no reply
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class PrepaidError(Exception):
    """The root of everything that this service raises on purpose."""

    code: ClassVar[str]


class Refused(PrepaidError):
    """A rule rejects the request. Nothing was written and the key is not used up: it may succeed later (rule 5)."""


class Unavailable(PrepaidError):
    """The caller should retry with the same key."""


@dataclass(eq=False)
class InvalidRequest(Refused):
    """The request breaks a rule about its own content. `errors`: pairs of (field, message)."""

    errors: tuple[tuple[str, str], ...]
    code: ClassVar[str] = "invalid_request"


@dataclass(eq=False)
class AccountNotFound(Refused):
    """No such account for this caller. Deliberately carries nothing that tells a stranger's from a missing one."""

    code: ClassVar[str] = "account_not_found"


@dataclass(eq=False)
class InsufficientCredits(Refused):
    """A debit that quota and lots together can't meet (rule 4, 8).

    needed: credits the debit takes after what the quota pays. available: credits that can be spent now.
    quota_remaining: units left, of the feature's quota. renews_at: when the quota would help again, or None.
    suggested_pack: id of the smallest pack on sale that covers what is missing, or None.
    """

    needed: int
    available: int
    quota_remaining: int
    renews_at: datetime | None
    suggested_pack: str | None
    code: ClassVar[str] = "insufficient_credits"


@dataclass(eq=False)
class TooManyLots(Refused):
    """The account holds `limit` lots already; an administrator's grant waits until some are spent or expired."""

    limit: int
    code: ClassVar[str] = "too_many_lots"


@dataclass(eq=False)
class IdempotencyKeyReused(Refused):
    """The key took effect already, for a request that asked for something else (rule 5)."""

    code: ClassVar[str] = "idempotency_key_reused"


@dataclass(eq=False)
class VersionConflict(Refused):
    """The caller's version isn't the current one. `current`: the version that it should have read."""

    current: int
    code: ClassVar[str] = "version_conflict"


@dataclass(eq=False)
class WrongCode(Refused):
    """Not the manager's code, or none is set: the two are alike. `tries_left` before it is locked."""

    tries_left: int
    code: ClassVar[str] = "wrong_code"


@dataclass(eq=False)
class CodeLocked(Refused):
    """Too many wrong codes: nothing is compared until the lock ends, the right code included (rule 10)."""

    retry_after_seconds: int
    code: ClassVar[str] = "code_locked"


@dataclass(eq=False)
class SessionInvalid(Refused):
    """The manager session is unknown, another account's, over, ended by a change of the code, or used for another
    purchase. Deliberately doesn't say which."""

    code: ClassVar[str] = "manager_session_invalid"


@dataclass(eq=False)
class PurchaseNotFound(Refused):
    """The account has no such purchase."""

    code: ClassVar[str] = "purchase_not_found"


@dataclass(eq=False)
class PurchaseLapsed(Refused):
    """The key's purchase has no page that can be shown: begun a day ago or more, or its page is another one already.
    Begin again with a new key."""

    code: ClassVar[str] = "purchase_lapsed"


@dataclass(eq=False)
class Busy(Unavailable):
    """Not committed before the deadline: contention, throttling or no reply. Retry with the same key."""

    retry_after_seconds: int = 1
    code: ClassVar[str] = "busy"
