"""The alarms that template.yaml must have, and why each rings at its threshold."""

from typing import Any

from tests.support.expected_template import FUNCTIONS, SCHEDULED, TABLE_NAME
from tests.support.template_values import HOUR, MINUTE, Properties, attribute, either, ref


def alarm(
    namespace: str,
    metric: str,
    dimension: Properties,
    *,
    statistic: str = "Sum",
    period: int = 5 * MINUTE,
    threshold: Any = 1,
    periods: int = 1,
    comparison: str = "GreaterThanOrEqualToThreshold",
    missing: str = "notBreaching",
) -> Properties:
    """Rings when one period reaches the threshold. A period without data is a period without trouble."""
    return {
        "Namespace": namespace,
        "MetricName": metric,
        **({"Dimensions": [{"Name": name, "Value": value} for name, value in dimension.items()]} if dimension else {}),
        "ExtendedStatistic" if statistic.startswith("p") else "Statistic": statistic,
        "Period": period,
        **rings(threshold, periods, comparison, missing),
    }


def computed(result: Properties, *, threshold: int, **metrics: tuple[str, str, Properties]) -> Properties:
    """As `alarm`, on sums of five minutes. metrics: the namespace, name and dimension of what the expression names."""
    return {
        "Metrics": [
            {**result, "ReturnData": True},
            *(
                {
                    "Id": name,
                    "ReturnData": False,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": namespace,
                            "MetricName": metric,
                            "Dimensions": [{"Name": key, "Value": value} for key, value in dimension.items()],
                        },
                        "Period": 5 * MINUTE,
                        "Stat": "Sum",
                    },
                }
                for name, (namespace, metric, dimension) in metrics.items()
            ),
        ],
        **rings(threshold),
    }


def rings(
    threshold: Any,
    periods: int = 1,
    comparison: str = "GreaterThanOrEqualToThreshold",
    missing: str = "notBreaching",
) -> Properties:
    return {
        "EvaluationPeriods": periods,
        "Threshold": threshold,
        "ComparisonOperator": comparison,
        "TreatMissingData": missing,
        "AlarmActions": either("HasAlarmEmail", [ref("AlarmTopic")], ref("AWS::NoValue")),
    }


# The only dimension with which Powertools writes the service's metrics.
SERVICE = {"service": ref("AWS::StackName")}

ALARMS = {
    # A function returns every failure that it expects, so a single error is news.
    **{f"{name}Errors": alarm("AWS/Lambda", "Errors", {"FunctionName": ref(f"{name}Function")}) for name in FUNCTIONS},
    # An HTTP API calls the metric 5xx; 5XXError is a REST API's. Each response counts 1 and each success 0, so an
    # Average is never above 1. Five, because a busy account gets a 503 now and then.
    # What an unconfigured stack refuses is subtracted; the metric exists only on such a stack.
    # The canary knows it by its name.
    "ApiErrors": {"AlarmName": {"Fn::Sub": "${AWS::StackName}-ApiErrors"}}
    | computed(
        {"Id": "errors", "Expression": "returned - FILL(unset, 0)", "Label": "5xx of a configured stack"},
        threshold=5,
        returned=("AWS/ApiGateway", "5xx", {"ApiId": ref("HttpApi")}),
        unset=("Prepaid", "PaymentsNotConfigured", SERVICE),
    ),
    # A job that doesn't run publishes nothing: three hours of no data ring.
    **{
        f"{name}Silent": alarm(
            "AWS/Lambda",
            "Invocations",
            {"FunctionName": ref(f"{name}Function")},
            period=HOUR,
            periods=3,
            comparison="LessThanThreshold",
            missing="breaching",
        )
        for name in SCHEDULED
        if name != "Publish"
    },
    # Anyone can send one delivery that isn't Stripe's. Stripe repeats its own for days.
    "WebhooksRejected": alarm("Prepaid", "WebhooksRejected", SERVICE, threshold=5),
    # One healed purchase is one lost delivery.
    "PurchasesHealed": alarm("Prepaid", "PurchasesHealed", SERVICE, period=HOUR),
    # Of all functions of the account, because they share its quota.
    "FunctionsThrottled": alarm("AWS/Lambda", "Throttles", {}),
    "ConcurrencyHigh": alarm(
        "AWS/Lambda", "ConcurrentExecutions", {}, statistic="Maximum", threshold=ref("ConcurrencyAlarm")
    ),
    # In milliseconds. A debit takes about 50, and on a busy account it retries for three seconds.
    "SpendingSlow": alarm(
        "AWS/Lambda",
        "Duration",
        {"FunctionName": ref("ConsumeFunction")},
        statistic="p99",
        threshold=2000,
        periods=3,
        comparison="GreaterThanThreshold",
    ),
    # A hundred, because adaptive capacity takes a moment and each call is retried.
    "TableThrottled": computed(
        {"Id": "throttled", "Expression": "FILL(reads, 0) + FILL(writes, 0)", "Label": "throttled reads and writes"},
        threshold=100,
        reads=("AWS/DynamoDB", "ReadThrottleEvents", {"TableName": TABLE_NAME}),
        writes=("AWS/DynamoDB", "WriteThrottleEvents", {"TableName": TABLE_NAME}),
    ),
    # SQS names the queue in this dimension, not its URL. A waiting message counts once in each sample, so Maximum.
    "DeadLettersWaiting": alarm(
        "AWS/SQS",
        "ApproximateNumberOfMessagesVisible",
        {"QueueName": attribute("DeadLetters", "QueueName")},
        statistic="Maximum",
    ),
    "InternalErrors": alarm("Prepaid", "InternalErrors", SERVICE),
    "PurchaseQuarantined": alarm("Prepaid", "PurchaseQuarantined", SERVICE),
    "PaymentProviderRefused": alarm("Prepaid", "PaymentProviderRefusals", SERVICE),
    "LedgerNotWhole": alarm("Prepaid", "VerificationFindings", SERVICE),
    # Two days of hourly runs check 37 million rows. A longer pass finds faults later than operators expect.
    "VerificationBehind": alarm(
        "Prepaid",
        "VerificationBehind",
        SERVICE,
        statistic="Maximum",
        period=3 * HOUR,
        threshold=48 * HOUR,
    ),
    # An hour holds one run of the sweep, so one alarm is about one run.
    "LotsNotSwept": alarm("Prepaid", "SweepFailures", SERVICE, period=HOUR),
    # The metrics are ages in seconds. An hour in which no run ended changes nothing. One hourly run may fail or be
    # late; three in a row do not recover by themselves.
    "PurchasesNotReconciled": alarm(
        "Prepaid",
        "ReconciliationOldestFailure",
        SERVICE,
        statistic="Maximum",
        period=HOUR,
        threshold=3 * HOUR,
        missing="ignore",
    ),
    "ReconciliationBehind": alarm(
        "Prepaid",
        "ReconciliationBehind",
        SERVICE,
        statistic="Maximum",
        period=HOUR,
        threshold=3 * HOUR,
        missing="ignore",
    ),
}

# CloudWatch cannot publish to a topic that is encrypted with the AWS managed key, and alarms carry no customer data.
TOPIC = {"Subscription": [{"Protocol": "email", "Endpoint": ref("AlarmEmail")}]}
