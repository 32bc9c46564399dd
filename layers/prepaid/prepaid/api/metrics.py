"""Figures that alarms watch, in CloudWatch's embedded format."""


def count(name: str, value: int) -> None:
    """Count something, under the service's name."""
    _publish(name, "Count", value)


def measure_seconds(name: str, value: int) -> None:
    """How long something has lasted, under the service's name."""
    _publish(name, "Seconds", value)


def _publish(name: str, unit: str, value: int) -> None:
    # Most requests publish nothing: they don't pay for the import.
    from aws_lambda_powertools import Metrics  # noqa: PLC0415

    metrics = Metrics()
    metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
