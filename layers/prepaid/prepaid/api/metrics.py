"""Figures that alarms watch, in CloudWatch's embedded format."""


def count(name: str, value: int) -> None:
    """Count something, under the service's name."""
    # Most requests count nothing: they don't pay for the import.
    from aws_lambda_powertools import Metrics  # noqa: PLC0415
    from aws_lambda_powertools.metrics import MetricUnit  # noqa: PLC0415

    metrics = Metrics()
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
    metrics.flush_metrics()
