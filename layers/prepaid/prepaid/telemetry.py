"""What the functions report: one log, and the metrics that alarms watch, in CloudWatch's embedded format."""

from enum import StrEnum

from aws_lambda_powertools import Logger

# One for the function, whichever module writes to it.
logger = Logger()


class Metric(StrEnum):
    """Every metric. template.yaml has the alarms, docs/operating.md what to do about each."""

    INTERNAL_ERRORS = "InternalErrors"
    LOTS_EXPIRED = "LotsExpired"
    PAYMENT_PROVIDER_REFUSALS = "PaymentProviderRefusals"
    PURCHASE_QUARANTINED = "PurchaseQuarantined"
    PURCHASES_HEALED = "PurchasesHealed"
    RECONCILIATION_BEHIND = "ReconciliationBehind"
    RECONCILIATION_FAILURES = "ReconciliationFailures"
    RECONCILIATION_OLDEST_FAILURE = "ReconciliationOldestFailure"
    ROWS_VERIFIED = "RowsVerified"
    SWEEP_FAILURES = "SweepFailures"
    VERIFICATION_FINDINGS = "VerificationFindings"


def count(metric: Metric, value: int) -> None:
    """Publish a count, under the service's name."""
    _publish(metric, "Count", value)


def measure_seconds(metric: Metric, value: int) -> None:
    """Publish a duration in seconds, under the service's name."""
    _publish(metric, "Seconds", value)


def _publish(name: str, unit: str, value: int) -> None:
    # Most requests publish nothing: they don't pay for the import.
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415

    with single_metric(name=name, unit=MetricUnit(unit), value=value):
        """Printed when the block ends."""
