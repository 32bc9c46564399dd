"""Logs and metrics: one logger, and the metrics for the alarms, in CloudWatch's embedded metric format."""

import logging
import os
from enum import StrEnum

from aws_lambda_powertools import Logger

# Lambda's filter for JSON logs, which template.yaml keeps at INFO. Lambda has applied it to the root logger, and
# Powertools would let it overrule LOG_LEVEL.
os.environ.pop("AWS_LAMBDA_LOG_LEVEL", None)
# At INFO, the libraries would write lines of their own.
logging.getLogger().setLevel(logging.WARNING)
# One logger per function, shared by all modules.
logger = Logger()


class Metric(StrEnum):
    """Every metric. template.yaml defines the alarms; docs/operating.md explains what to do about each."""

    CODES_LOCKED = "CodesLocked"
    CREDITS_EXPIRED = "CreditsExpired"
    CREDITS_GRANTED = "CreditsGranted"
    CREDITS_OWED = "CreditsOwed"
    CREDITS_SOLD = "CreditsSold"
    CREDITS_SPENT = "CreditsSpent"
    CREDITS_TAKEN_BACK = "CreditsTakenBack"
    ENDPOINT_DELIVERIES = "EndpointDeliveries"
    ENDPOINT_DELIVERIES_FAILED = "EndpointDeliveriesFailed"
    ENDPOINT_DELIVERIES_GIVEN_UP = "EndpointDeliveriesGivenUp"
    EVENTS_FOUND_LATE = "EventsFoundLate"
    EVENTS_PUBLISHED = "EventsPublished"
    INTERNAL_ERRORS = "InternalErrors"
    LOTS_EXPIRED = "LotsExpired"
    PAYMENTS_NOT_CONFIGURED = "PaymentsNotConfigured"
    PAYMENT_PROVIDER_REFUSALS = "PaymentProviderRefusals"
    PURCHASES_HEALED = "PurchasesHealed"
    PURCHASE_QUARANTINED = "PurchaseQuarantined"
    RECONCILIATION_BEHIND = "ReconciliationBehind"
    RECONCILIATION_FAILURES = "ReconciliationFailures"
    RECONCILIATION_OLDEST_FAILURE = "ReconciliationOldestFailure"
    ROWS_VERIFIED = "RowsVerified"
    SPENDING_REFUSED = "SpendingRefused"
    SWEEP_FAILURES = "SweepFailures"
    VERIFICATION_BEHIND = "VerificationBehind"
    VERIFICATION_FINDINGS = "VerificationFindings"
    WEBHOOKS_REJECTED = "WebhooksRejected"


def count(metric: Metric, value: int, *, feature: str | None = None) -> None:
    """Publish a count with the service's name, and with the feature, of which a catalog has few."""
    _publish(metric, "Count", value, feature)


def measure_seconds(metric: Metric, value: int) -> None:
    """Publish a duration in seconds with the service's name."""
    _publish(metric, "Seconds", value)


def _publish(name: str, unit: str, value: int, feature: str | None = None) -> None:
    # Imported here because most requests publish nothing.
    from aws_lambda_powertools.metrics import MetricUnit, single_metric  # noqa: PLC0415

    # The context manager prints the metric when the block ends.
    with single_metric(name=name, unit=MetricUnit(unit), value=value) as metric:
        if feature is not None:
            metric.add_dimension("feature", feature)
