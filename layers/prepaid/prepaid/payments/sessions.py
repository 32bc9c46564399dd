"""Fetches the current status of a checkout session and its payment from Stripe. Events only trigger the fetch.

Whatever calls Stripe raises Busy once its client is late.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal

import stripe

from prepaid.core.errors import Busy
from prepaid.core.purchase import PaymentStatus, Progress, Voucher
from prepaid.payments.errors import PaymentsRefused, PaymentsUnavailable, SessionUnknown
from prepaid.payments.events import (
    METADATA_ACCOUNT,
    METADATA_PURCHASE,
    METADATA_STACK,
    MONEY_EVENTS,
    SESSION_EVENTS,
    Event,
    event_of,
    metadata_value,
    reference_of,
)

# Disputes whose money is lost or at risk. An inquiry (warning_…) moves no money; a won or prevented dispute returns it.
LOST_DISPUTES = frozenset({"needs_response", "under_review", "lost"})
VOID_REFUNDS = frozenset({"failed", "canceled"})
# A request takes at most six seconds. The SDK sends it again once, unless the client is late by then.
CONNECT_SECONDS, READ_SECONDS = 2.0, 4.0
MISSING = "resource_missing"
# Stripe's error text when a test key requests a live object, or a live key a test object.
OTHER_MODE = "a similar object exists in"
# Errors that a retry gets again: a wrong request, API key or permission, or a used idempotency key.
REFUSALS = (
    stripe.AuthenticationError,
    stripe.IdempotencyError,
    stripe.InvalidRequestError,
    stripe.PermissionError,
)
# The most refunds or disputes read for one payment; Stripe allows fewer.
MAX_REFUNDS = 100
EVENTS_PAGE = 100
# Where a payment's next_action has the voucher, by method: the name of the details, and of the code in them.
# https://docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action
VOUCHERS: tuple[tuple[Literal["pix", "boleto"], str, str], ...] = (
    ("pix", "pix_display_qr_code", "data"),
    ("boleto", "boleto_display_details", "number"),
)

# For modules that pass the client on without calling it.
type Stripe = stripe.StripeClient


@dataclass(frozen=True, slots=True)
class SessionRef:
    """A checkout session, and the account, purchase and stack that its metadata names now; "" or None if it doesn't."""

    session: str
    account: str
    purchase: str
    stack: str | None


class _DeadlineClient(stripe.HTTPClient):
    """Sends requests through `client` until the deadline has passed. Then each request raises Busy."""

    name = "requests"

    def __init__(self, client: stripe.HTTPClient, is_late: Callable[[], bool]) -> None:
        super().__init__()
        self._client, self._is_late = client, is_late

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        # The SDK's own retry comes here, too.
        if self._is_late():
            raise Busy
        return self._client.request(method, url, headers, post_data)

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]


def open_stripe(api_key: str, api_base: str, *, is_late: Callable[[], bool]) -> stripe.StripeClient:
    """The official client for `api_base` (Stripe's URL, or a local fake's), for one request or one piece of a job.

    is_late: whether its deadline has passed; then the client raises Busy instead of sending anything.
    """
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base},
        http_client=_DeadlineClient(connection(), is_late),
        max_network_retries=1,
    )


@cache
def connection() -> stripe.HTTPClient:
    """The HTTP client that all Stripe clients share. It keeps its connections open."""
    return stripe.RequestsClient(timeout=(CONNECT_SECONDS, READ_SECONDS))


def fetch_payment_status(
    client: stripe.StripeClient, session_id: str, *, stack: str, failed: bool = False
) -> PaymentStatus | None:
    """The session's current status, with its refunds and disputes; None if it is still open and unpaid.

    stack: the name of this stack. failed: whether an event reported that a voucher expired, which the session itself
    doesn't show.
    Raises SessionUnknown, PaymentsUnavailable, PaymentsRefused.
    """
    with translate_errors():
        try:
            session = client.v1.checkout.sessions.retrieve(session_id, {"expand": ["line_items"]})
        except stripe.InvalidRequestError as error:
            if _is_missing(error):
                raise SessionUnknown from error
            raise
        return payment_status_of(client, session, stack=stack, failed=failed)


def payment_status_of(
    client: stripe.StripeClient, session: stripe.checkout.Session, *, stack: str, failed: bool = False
) -> PaymentStatus | None:
    """The status of a session. Raises PaymentsRefused, PaymentsUnavailable."""
    progress = _progress(session, failed=failed)
    if progress is None:
        return None
    account, purchase, named_stack = _named_in(session.to_dict())
    payment = session.payment_intent
    payment = payment if isinstance(payment, str) or payment is None else payment.id
    is_paid = progress == "paid" and payment is not None
    with translate_errors():
        return PaymentStatus(
            progress=progress,
            session=session.id,
            account=account or "",
            purchase=purchase or "",
            amount=session.amount_total or 0,
            currency=session.currency or "",
            live=session.livemode,
            mode=session.mode,
            quantity=sum(item.quantity or 0 for item in session.line_items.data) if session.line_items else 0,
            # A session that lost its stack's name is judged by its purchase's record alone.
            other_stack=named_stack if named_stack is not None and named_stack != stack else "",
            payment=payment,
            voucher=_voucher(client, payment) if progress == "awaiting_payment" and payment else None,
            refunded=_refunded(client, payment) if is_paid and payment else 0,
            disputed=_disputed(client, payment) if is_paid and payment else 0,
        )


def find_session_of_payment(client: stripe.StripeClient, payment: str) -> SessionRef | None:
    """The checkout session of a payment, if a stack of this service may have made it.

    Raises PaymentsRefused, PaymentsUnavailable.
    """
    with translate_errors():
        try:
            sessions = client.v1.checkout.sessions.list({"payment_intent": payment, "limit": 1})
        except stripe.InvalidRequestError as error:
            # A payment that this Stripe account doesn't have isn't ours, and a retry would get the same error.
            if _is_missing(error):
                return None
            raise
    if not sessions.data:
        return None
    session = sessions.data[0].to_dict()
    account, purchase, stack = _named_in(session)
    purchase = purchase or reference_of(session)
    return SessionRef(session["id"], account or "", purchase or "", stack) if account or purchase else None


def find_names_of_payment(client: stripe.StripeClient, payment: str) -> tuple[str, str] | None:
    """The account and purchase in a payment's own metadata, which stays when the session's metadata is edited.

    Raises PaymentsRefused, PaymentsUnavailable.
    """
    with translate_errors():
        try:
            payment_intent = client.v1.payment_intents.retrieve(payment)
        except stripe.InvalidRequestError as error:
            if _is_missing(error):
                return None
            raise
    account, purchase, _ = _named_in(payment_intent.to_dict())
    return (account, purchase) if account and purchase else None


def events_page(
    client: stripe.StripeClient, *, since: datetime, until: datetime, after: str, limit: int = EVENTS_PAGE
) -> tuple[Event, ...]:
    """At most `limit` events that may concern a purchase, newest first, older than event `after` ("" from the newest).

    Stripe keeps events for 30 days. Raises PaymentsRefused, PaymentsUnavailable.
    """
    parameters: dict[str, Any] = {
        "types": sorted(SESSION_EVENTS | MONEY_EVENTS),
        "created": {"gte": int(since.timestamp()), "lte": int(until.timestamp())},
        "limit": limit,
    }
    if after:
        parameters["starting_after"] = after
    with translate_errors():
        try:
            page = client.v1.events.list(parameters)  # type: ignore[arg-type]
        except stripe.InvalidRequestError:
            # Stripe no longer has event `after`: start from the newest again. Handling an event twice has no effect.
            if parameters.pop("starting_after", None) is None:
                raise
            page = client.v1.events.list(parameters)  # type: ignore[arg-type]
        return tuple(event_of(event.to_dict()) for event in page.data)


def _is_missing(error: stripe.InvalidRequestError) -> bool:
    """Whether the Stripe account has no such object. If it exists in the other mode, the key is wrong instead: an
    operator must fix that."""
    return error.code == MISSING and OTHER_MODE not in str(error)


def _named_in(stripe_object: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """The account, purchase and stack in an object's metadata."""
    metadata = stripe_object.get("metadata")
    return (
        metadata_value(metadata, METADATA_ACCOUNT),
        metadata_value(metadata, METADATA_PURCHASE),
        metadata_value(metadata, METADATA_STACK),
    )


def _voucher(client: stripe.StripeClient, payment: str) -> Voucher | None:
    """The Pix code or boleto that the customer received; None if the payment shows neither."""
    next_action: dict[str, Any] = client.v1.payment_intents.retrieve(payment).to_dict().get("next_action") or {}
    for method, details, code in VOUCHERS:
        fields = next_action.get(details) or {}
        if fields.get(code) and fields.get("expires_at"):
            expires_at = datetime.fromtimestamp(fields["expires_at"], UTC)
            return Voucher(method=method, code=fields[code], expires_at=expires_at, pdf=fields.get("pdf"))
    return None


def _refunded(client: stripe.StripeClient, payment: str) -> int:
    refunds = client.v1.refunds.list({"payment_intent": payment, "limit": MAX_REFUNDS})
    return sum(refund.amount for refund in refunds.data if refund.status not in VOID_REFUNDS)


def _disputed(client: stripe.StripeClient, payment: str) -> int:
    disputes = client.v1.disputes.list({"payment_intent": payment, "limit": MAX_REFUNDS})
    return sum(dispute.amount for dispute in disputes.data if dispute.status in LOST_DISPUTES)


def _progress(session: stripe.checkout.Session, *, failed: bool) -> Progress | None:
    if session.payment_status == "paid":
        return "paid"
    if session.status == "expired":
        return "session_expired"
    if session.status != "complete":
        return None
    # Pix and boleto: complete means that the customer received a code to pay, not that the customer paid.
    return "payment_failed" if failed else "awaiting_payment"


@contextmanager
def translate_errors() -> Iterator[None]:
    """Translate the SDK's errors into this package's. Raises PaymentsRefused, PaymentsUnavailable."""
    try:
        yield
    except REFUSALS as error:
        raise PaymentsRefused from error
    except stripe.StripeError as error:
        raise PaymentsUnavailable from error
