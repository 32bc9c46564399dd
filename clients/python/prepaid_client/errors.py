"""Every error of the client. Catch them by class; each class is one decision that a caller can make.

    PrepaidError
    ├── Refused                      the service refused the request, and nothing happened
    │   ├── InsufficientCredits ...  one class for each kind of refusal
    ├── Unavailable                  no usable answer in time; the request may have taken effect
    └── WebhookRejected              a delivery that isn't the service's

The client fails closed: unless the service confirms success, it raises, so that no work is delivered unpaid.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


class PrepaidError(Exception):
    """Base class of all errors that this package raises on its own."""


class Unavailable(PrepaidError):
    """No usable answer within the deadline. Retry later with the same key.

    may_have_happened: whether the request may have taken effect. key: its idempotency key, if any.
    code: of the last answer, if it had one. retry_after: the last answer's Retry-After in seconds, if it had one.
    """

    def __init__(
        self,
        reason: str,
        *,
        may_have_happened: bool,
        key: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.may_have_happened = may_have_happened
        self.key = key
        self.code = code
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickling, because job queues pass errors between processes."""
        return _rebuilt, (type(self), self.args[0], self.may_have_happened, self.key, self.code, self.retry_after)

    def __str__(self) -> str:
        happened = "It may have happened" if self.may_have_happened else "Nothing happened"
        advice = f" Retry later with the same key: {self.key}." if self.key else ""
        return f"{self.args[0]}. {happened}.{advice}"


class UnexpectedResponse(Unavailable):
    """The answer isn't one of this API: another program answered, or another version. Check the address."""


class Refused(PrepaidError):
    """The service refused the request, and nothing happened. Decide by class or `code`; `detail` is for people.

    status: HTTP's. problem: the answer's body. retry_after: seconds to wait, if the service sends them.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(status, problem, retry_after)
        self.status = status
        self.problem = problem
        self.retry_after = retry_after

    @property
    def code(self) -> str:
        """The stable code of the refusal; empty if API Gateway itself refused."""
        return str(self.problem.get("code", ""))

    @property
    def detail(self) -> str:
        """What went wrong, for people. May change."""
        return str(self.problem.get("detail") or self.problem.get("message") or "")

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}" if self.code else f"{self.status}: {self.detail}"


class InsufficientCredits(Refused):
    """Quota and credits don't cover the charge. After a purchase or a renewal, retry with the same key."""

    @property
    def needed(self) -> int:
        """Credits that the request needs."""
        return int(self.problem["needed"])

    @property
    def available(self) -> int:
        """Credits that the account can spend."""
        return int(self.problem["available"])

    @property
    def quota_remaining(self) -> int:
        """Units left of the plan's quota."""
        return int(self.problem["quota_remaining"])

    @property
    def renews_at(self) -> datetime | None:
        """When the quota renews; None if a renewal would not help."""
        return _time(self.problem.get("renews_at"))

    @property
    def suggested_pack(self) -> str | None:
        """The smallest pack that covers the missing credits; None if none does."""
        return self.problem.get("suggested_pack")


class Unauthorized(Refused):
    """The token or the client's credentials are missing, wrong or expired."""


class Forbidden(Refused):
    """The token lacks the scope, or is bound to another account."""


class NotFound(Refused):
    """There is no such account, consumption, hold, grant or purchase: `code` says which."""


class InvalidRequest(Refused):
    """The request breaks a rule of the API: fix the program. `errors` names the fields, if it is about fields."""

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Each invalid field with what is wrong with it."""
        return [(str(error["field"]), str(error["message"])) for error in self.problem.get("errors", ())]


class FeatureRetired(InvalidRequest):
    """The catalog has retired the feature: stop charging for it."""


class IdempotencyKeyReused(Refused):
    """The key was used for a different request, so two pieces of work share a key."""


class AccountNotActive(Refused):
    """The account is frozen or closed: `code` says which. Once it is active again, retry with the same key."""


class AlreadyReversed(Refused):
    """Fewer units of the charge are left than the reversal returns."""

    @property
    def reversible(self) -> int:
        """Units that are not reversed yet."""
        return int(self.problem["reversible"])


class AlreadyCaptured(Refused):
    """The hold was captured."""

    @property
    def capture(self) -> str:
        """The id of the capture."""
        return str(self.problem["capture"])


class HoldReleased(Refused):
    """The hold was released: nothing was charged for it."""


class HoldLapsed(Refused):
    """The hold lapsed, and its units are free again. To charge, send a consumption with the same key."""

    @property
    def lapsed_at(self) -> datetime | None:
        """When it ended."""
        return _time(self.problem.get("lapsed_at"))


class TooManyHolds(Refused):
    """The account has as many holds as it may have. Capture or release some."""


class TooManyLots(Refused):
    """The account holds as many lots as it may hold, so no grant is accepted."""


class ExceedsRemaining(Refused):
    """The void asks for more credits than remain of the grant."""

    @property
    def remaining(self) -> int:
        """Credits that remain."""
        return int(self.problem["remaining"])


class PurchaseNotVoidable(Refused):
    """The credits to void were bought: refund the payment."""


class VersionConflict(Refused):
    """The catalog changed since it was read. Read it again."""

    @property
    def current_version(self) -> int:
        """The version in force."""
        return int(self.problem["current_version"])


class WrongCode(Refused):
    """Not the manager's code."""

    @property
    def tries_left(self) -> int:
        """Tries left before the code locks."""
        return int(self.problem["tries_left"])


class CodeLocked(Refused):
    """Too many wrong codes. After `retry_after` seconds a person must type the code."""


class ManagerSessionInvalid(Refused):
    """The manager session is unknown, used, expired or of another account. Open a new one."""


class CurrencyMismatch(Refused):
    """The account buys in another currency."""

    @property
    def packs(self) -> list[str]:
        """The packs in the account's currency."""
        return [str(pack) for pack in self.problem.get("packs", ())]


class PurchaseNotCancellable(Refused):
    """The purchase isn't open: it is paid, waits for its payment, or is over."""


class PurchaseNotResumable(Refused):
    """The purchase of this key can't be continued. Buy again with a new key."""


class PaymentsNotConfigured(Refused):
    """The operators haven't stored Stripe's keys yet. Nothing was recorded. Once they have, retry with the same key."""


class PaymentProviderRefused(Refused):
    """Stripe rejects the request until an operator fixes the cause. After that, retry with the same key."""


class WebhookRejected(PrepaidError):
    """The delivery isn't signed with one of the secrets, is too old, or isn't an event. Respond with 400."""


BY_CODE: dict[str, type[Refused]] = {
    "account_closed": AccountNotActive,
    "account_frozen": AccountNotActive,
    "account_not_found": NotFound,
    "already_captured": AlreadyCaptured,
    "already_reversed": AlreadyReversed,
    "body_too_large": InvalidRequest,
    "code_locked": CodeLocked,
    "consumption_not_found": NotFound,
    "currency_mismatch": CurrencyMismatch,
    "exceeds_remaining": ExceedsRemaining,
    "feature_retired": FeatureRetired,
    "forbidden": Forbidden,
    "grant_not_found": NotFound,
    "hold_lapsed": HoldLapsed,
    "hold_not_found": NotFound,
    "hold_released": HoldReleased,
    "idempotency_key_invalid": InvalidRequest,
    "idempotency_key_missing": InvalidRequest,
    "idempotency_key_reused": IdempotencyKeyReused,
    "if_match_missing": InvalidRequest,
    "insufficient_credits": InsufficientCredits,
    "invalid_cursor": InvalidRequest,
    "invalid_request": InvalidRequest,
    "malformed_body": InvalidRequest,
    "manager_session_invalid": ManagerSessionInvalid,
    "payment_provider_refused": PaymentProviderRefused,
    "payments_not_configured": PaymentsNotConfigured,
    "purchase_not_cancellable": PurchaseNotCancellable,
    "purchase_not_found": NotFound,
    "purchase_not_resumable": PurchaseNotResumable,
    "purchase_not_voidable": PurchaseNotVoidable,
    "too_many_holds": TooManyHolds,
    "too_many_lots": TooManyLots,
    "unauthorized": Unauthorized,
    "unsupported_media_type": InvalidRequest,
    "version_conflict": VersionConflict,
    "wrong_code": WrongCode,
}
# Refusals by API Gateway itself, which have no code.
BY_STATUS: dict[int, type[Refused]] = {401: Unauthorized, 403: Forbidden, 404: NotFound}


def refusal(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> Refused:
    """The error for a refusal. It is a plain Refused for a code that this version doesn't know."""
    error_class = BY_CODE.get(str(problem.get("code", ""))) or BY_STATUS.get(status, Refused)
    return error_class(status, problem, retry_after)


def _rebuilt(
    kind: type[Unavailable],
    reason: str,
    happened: bool,
    key: str | None,
    code: str | None,
    retry_after: float | None,
) -> Unavailable:
    return kind(reason, may_have_happened=happened, key=key, code=code, retry_after=retry_after)


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
