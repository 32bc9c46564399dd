"""On a schedule: what Stripe says and what was granted, compared both ways; what a lost webhook left is healed."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.api.metrics import count, measure_seconds
from prepaid.payments.errors import PaymentsRefused
from prepaid.purchasing import ReconcileContext, reconcile
from prepaid.store.dynamodb import Patience

# Enough to finish the event or purchase in hand, Stripe's slowest answers included, and keep the checkpoint.
MARGIN_MILLISECONDS = 60_000

logger = Logger()


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run; the answer says what it did. An unfinished run goes on at the next schedule."""
    try:
        return run(context)
    except PaymentsRefused:
        # Lambda tries again all the same; this alarm says that it takes a person first.
        count("PaymentProviderRefusals", 1)
        raise


def run(context: LambdaContext) -> dict[str, Any]:
    """Compare, and tell what was done. Raises Busy, PaymentsRefused, PaymentsUnavailable."""
    patience = Patience(seconds=4.0)
    done = reconcile(
        ReconcileContext(
            table=wiring.table(),
            client=wiring.stripe_client(),
            catalog=wiring.catalog()(patience),
            now=wiring.now(),
            patience=patience,
            has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
            on_quarantine=on_quarantine,
            on_failure=on_failure,
        )
    )
    answer = {
        "healed": done.healed,
        "quarantined": done.quarantined,
        "failed": done.failed,
        "waiting": done.waiting,
        "finished": done.finished,
    }
    logger.info("reconciled", extra={"request_id": context.aws_request_id, **answer})
    count("PurchasesHealed", done.healed)
    count("ReconciliationFailures", done.failed)
    measure_seconds("ReconciliationOldestFailure", int(done.oldest_failure.total_seconds()))
    measure_seconds("ReconciliationBehind", int(done.behind.total_seconds()))
    return answer


def on_quarantine(what: str) -> None:
    """The alarm PurchaseQuarantined counts this: an event or purchase that doesn't fit waits for a person."""
    logger.warning("quarantined", extra={"what": what})
    count("PurchaseQuarantined", 1)


def on_failure(what: str, error: Exception) -> None:
    """One event or purchase that couldn't be looked at; each run tries again, and an alarm knows the oldest one."""
    logger.error("not reconciled", extra={"what": what}, exc_info=error)
    if isinstance(error, PaymentsRefused):
        count("PaymentProviderRefusals", 1)
