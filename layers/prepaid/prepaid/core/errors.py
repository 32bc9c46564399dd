"""Every error of the service, as one tree. `code` is stable: clients and the problem+json table rely on it.

PrepaidError
├── Refused                    a rule rejects the request; nothing was written
│   ├── InvalidRequest         the request itself is invalid; names each field
│   ├── AccountNotFound        no such account, or another caller's: both get the same response
│   ├── AccountFrozen          the account is frozen: it neither spends, holds nor buys
│   ├── AccountClosed          the account is closed: it neither spends, holds nor buys
│   ├── ConsumptionNotFound    the account has no such consumption, or the key had no effect
│   ├── FeatureRetired         the catalog has retired the feature
│   ├── InsufficientCredits    quota and lots don't cover the debit
│   ├── AlreadyReversed        a reversal of more units than are left of the charge
│   ├── HoldNotFound           the account has no such hold
│   ├── AlreadyCaptured        the hold was captured
│   ├── HoldReleased           the hold was released
│   ├── HoldLapsed             the hold was neither captured nor released in time
│   ├── TooManyHolds           a hold of an account whose holds, or the lots in them, are at their maximum
│   ├── TooManyLots            a grant to an account that already holds the maximum number of lots
│   ├── GrantNotFound          the account has no such grant
│   ├── PurchaseNotVoidable    a void of credits that were bought
│   ├── ExceedsRemaining       a void of more credits than remain of the grant
│   ├── IdempotencyKeyReused   the key took effect before, for a different request
│   ├── VersionConflict        the resource was changed since the caller read it
│   ├── WrongCode              the manager's code is wrong
│   ├── CodeLocked             too many wrong codes; until the lock ends, even the right code is rejected
│   ├── SessionInvalid         no manager session that this purchase can use
│   ├── PortalLinkUsed         a link to the subscription page that opened a session before
│   ├── PortalLinkInvalid      a link to the subscription page that is unknown or expired
│   ├── PortalSessionEnded     no session on the subscription page that this request can use
│   ├── CurrencyMismatch       the pack is sold in another currency than the account's
│   ├── PurchaseNotFound       the account has no such purchase
│   ├── PurchaseNotResumable   a purchase that can't be continued
│   └── PurchaseNotCancellable a purchase that isn't open any more
└── Unavailable                retry with the same key, which finds the effect if there was one
    └── Busy                   not committed before the deadline: contention, throttling or no reply
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal


class PrepaidError(Exception):
    """The base class of every error that this service raises deliberately."""

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


class AccountNotFound(Refused):
    """No such account for this caller. Deliberately doesn't reveal whether another caller owns it."""

    code: ClassVar[str] = "account_not_found"


class AccountFrozen(Refused):
    """The account is frozen: it neither spends, holds nor buys until an administrator reopens it (rule 21)."""

    code: ClassVar[str] = "account_frozen"


class AccountClosed(Refused):
    """The account is closed: it neither spends, holds nor buys unless an administrator reopens it (rule 21)."""

    code: ClassVar[str] = "account_closed"


class ConsumptionNotFound(Refused):
    """The account has no such consumption or capture, or no consumption with that key."""

    code: ClassVar[str] = "consumption_not_found"


@dataclass(eq=False)
class FeatureRetired(Refused):
    """The catalog has retired the feature: nothing more can be spent on it. `message`: with the valid features."""

    message: str
    code: ClassVar[str] = "feature_retired"


@dataclass(eq=False)
class InsufficientCredits(Refused):
    """Quota and lots together don't cover the debit (rules 4, 8).

    needed: credits that the debit costs beyond the quota. available: credits that can be spent now.
    quota_remaining: units left of the feature's quota. renews_at: when the quota renews, or None if that can't help.
    suggested_pack: id of the smallest pack on sale that covers the shortfall, or None.
    """

    needed: int
    available: int
    quota_remaining: int
    renews_at: datetime | None
    suggested_pack: str | None
    code: ClassVar[str] = "insufficient_credits"


@dataclass(eq=False)
class AlreadyReversed(Refused):
    """Fewer units are left of the charge than the reversal would return. `reversible`: how many are, possibly 0."""

    reversible: int
    code: ClassVar[str] = "already_reversed"


class HoldNotFound(Refused):
    """The account has no such hold, or it has ended."""

    code: ClassVar[str] = "hold_not_found"


@dataclass(eq=False)
class AlreadyCaptured(Refused):
    """The hold was captured. `capture`: the id of the capture."""

    capture: str
    code: ClassVar[str] = "already_captured"


class HoldReleased(Refused):
    """The hold was released."""

    code: ClassVar[str] = "hold_released"


@dataclass(eq=False)
class HoldLapsed(Refused):
    """The hold was neither captured nor released in time. `lapsed_at`: when it lapsed (rule 16)."""

    lapsed_at: datetime
    code: ClassVar[str] = "hold_lapsed"


@dataclass(eq=False)
class TooManyHolds(Refused):
    """With one more hold the account would have more than `limit` holds, or they would reserve credits of more than
    `limit` lots. One of them has to end first."""

    limit: int
    of: Literal["holds", "lots"]
    code: ClassVar[str] = "too_many_holds"


@dataclass(eq=False)
class TooManyLots(Refused):
    """The account holds `limit` lots already; an administrator's grant waits until some are spent or expired."""

    limit: int
    code: ClassVar[str] = "too_many_lots"


class GrantNotFound(Refused):
    """The account has no such grant."""

    code: ClassVar[str] = "grant_not_found"


class PurchaseNotVoidable(Refused):
    """The credits were bought: only a refund of their payment takes them back (rule 13)."""

    code: ClassVar[str] = "purchase_not_voidable"


@dataclass(eq=False)
class ExceedsRemaining(Refused):
    """Fewer credits remain of the grant than the void would take. `remaining`: how many do, possibly 0 (rule 19)."""

    remaining: int
    code: ClassVar[str] = "exceeds_remaining"


class IdempotencyKeyReused(Refused):
    """The key already took effect for a different request (rule 5)."""

    code: ClassVar[str] = "idempotency_key_reused"


@dataclass(eq=False)
class VersionConflict(Refused):
    """The caller's version is out of date. `current`: the current version."""

    current: int
    code: ClassVar[str] = "version_conflict"


@dataclass(eq=False)
class WrongCode(Refused):
    """The code is wrong, or none is set: the caller can't tell which. `tries_left`: tries before the code locks."""

    tries_left: int
    code: ClassVar[str] = "wrong_code"


@dataclass(eq=False)
class CodeLocked(Refused):
    """Too many wrong codes: until the lock ends no code is compared, not even the right one (rule 10)."""

    retry_after_seconds: int
    code: ClassVar[str] = "code_locked"


class SessionInvalid(Refused):
    """The manager session is unknown, another account's, expired, ended by a change of the code, or used for another
    purchase. Deliberately doesn't reveal which."""

    code: ClassVar[str] = "manager_session_invalid"


@dataclass(eq=False)
class PortalLinkUsed(Refused):
    """The link to the subscription page opened a session before. language, return_url: of the link."""

    language: str
    return_url: str
    code: ClassVar[str] = "portal_link_used"


class PortalLinkInvalid(Refused):
    """The link to the subscription page is unknown or expired. Deliberately doesn't reveal which."""

    code: ClassVar[str] = "portal_link_invalid"


class PortalSessionEnded(Refused):
    """The session on the subscription page is unknown, too old, or ended by leaving or by a changed code."""

    code: ClassVar[str] = "portal_session_ended"


@dataclass(eq=False)
class CurrencyMismatch(Refused):
    """The pack is sold in another currency than the account's. `packs`: ids of those on sale in the account's."""

    currency: str | None
    packs: tuple[str, ...]
    code: ClassVar[str] = "currency_mismatch"


class PurchaseNotFound(Refused):
    """The account has no such purchase."""

    code: ClassVar[str] = "purchase_not_found"


class PurchaseNotResumable(Refused):
    """The key's purchase has no payment page to return: it is too old to continue, its page is no longer open, or an
    event named a different page. Start a new purchase with a new key."""

    code: ClassVar[str] = "purchase_not_resumable"


class PurchaseNotCancellable(Refused):
    """The purchase isn't open: it is paid, waits for a bank, or is over. A payment that was first stands."""

    code: ClassVar[str] = "purchase_not_cancellable"


@dataclass(eq=False)
class Busy(Unavailable):
    """Not committed before the deadline: contention, throttling or no reply. Retry with the same key."""

    retry_after_seconds: int = 1
    code: ClassVar[str] = "busy"
