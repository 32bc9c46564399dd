"""On a schedule: compares Stripe's payments with grants in both directions, to make up for lost webhooks."""

from collections.abc import Callable
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.payments.errors import PaymentsNotConfigured, PaymentsRefused
from prepaid.settings import from_environment
from prepaid.store.dynamodb import Table, within
from prepaid.telemetry import Metric, count, logger, measure_seconds
from prepaid.use_cases.reconciling import PIECE_SECONDS, ReconcileContext, needs_a_key, reconcile

# Enough to finish the current event or purchase, to store its failure, and to end the run: seven pieces of 27 seconds
# each, if Stripe and the database are very slow.
MARGIN_MILLISECONDS = 200_000

type JobHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def run(deps: Deps, context: LambdaContext, **limits: Any) -> dict[str, Any]:
    """Reconcile once, unless the key is not stored. `limits`: of ReconcileContext.

    Raises Busy, PaymentsRefused, PaymentsUnavailable.
    """
    piece = partial(within, deps.table, PIECE_SECONDS)
    try:
        reconciled = reconcile(
            ReconcileContext(
                piece=piece,
                client=deps.stripe,
                catalog=deps.catalog(piece()),
                stack=deps.stack,
                now=deps.clock(),
                has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
                on_quarantine=on_quarantine,
                on_failure=on_failure,
                **limits,
            )
        )
    except PaymentsNotConfigured:
        return not_configured(piece())
    except PaymentsRefused:
        # Lambda retries anyway; the alarm reports that an operator must act first.
        count(Metric.PAYMENT_PROVIDER_REFUSALS, 1)
        raise
    result = {
        "healed": reconciled.healed,
        "quarantined": reconciled.quarantined,
        "failed": reconciled.failed,
        "waiting": reconciled.waiting,
        "finished": reconciled.finished,
        "until": reconciled.until.isoformat(),
    }
    logger.info("reconciled", extra=result)
    count(Metric.PURCHASES_HEALED, reconciled.healed)
    count(Metric.RECONCILIATION_FAILURES, reconciled.failed)
    measure_seconds(Metric.RECONCILIATION_OLDEST_FAILURE, int(reconciled.oldest_failure.total_seconds()))
    measure_seconds(Metric.RECONCILIATION_BEHIND, int(reconciled.behind.total_seconds()))
    return result


def not_configured(table: Table) -> dict[str, Any]:
    """The result of a run without a key at Stripe, which the alarm reports if one is needed. Raises Busy."""
    if needs_a_key(table):
        logger.error("no key to reconcile purchases with")
        count(Metric.PAYMENT_PROVIDER_REFUSALS, 1)
    else:
        logger.warning("payments not configured")
    return {"configured": False}


def on_quarantine(what: str) -> None:
    """Count an event or purchase that doesn't match, for the alarm PurchaseQuarantined: an operator must decide."""
    logger.warning("quarantined", extra={"what": what})
    count(Metric.PURCHASE_QUARANTINED, 1)


def on_failure(what: str, error: Exception) -> None:
    """Log an event or purchase whose check failed. Each run retries it, and an alarm watches the oldest one."""
    logger.error("not reconciled", extra={"what": what}, exc_info=error)
    if isinstance(error, PaymentsRefused):
        count(Metric.PAYMENT_PROVIDER_REFUSALS, 1)


def make_handler(deps: Deps, **limits: Any) -> JobHandler:
    """The function's Lambda handler. It returns the result of the run."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return run(deps, context, **limits)

    return handle


handler = make_handler(wiring.build(from_environment()))
