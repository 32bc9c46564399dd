"""Publishes events. On each change of the table: those of new entries. On a schedule: those that the stream missed, and
warnings of lots that expire soon."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.store.dynamodb import within
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.publishing import (
    PIECE_SECONDS,
    PublishContext,
    Published,
    publish_changes,
    publish_missing,
)
from prepaid.use_cases.warning import publish_warnings

# Enough for work between two checks of the time, and to save the run's place: at most five pieces of 17 seconds each
# (10 up to the deadline, and 7 for a call that begins just before it), and an alert's event, which takes 18.
MARGIN_MILLISECONDS = 110_000

# The metric for each line of a statement. Held credits are neither spent nor lost, and credits that pay a debt were
# counted when they were sold or granted.
FIGURES = {
    "purchased": Metric.CREDITS_SOLD,
    "promotional": Metric.CREDITS_GRANTED,
    "adjusted": Metric.CREDITS_GRANTED,
    "spent": Metric.CREDITS_SPENT,
    "expired": Metric.CREDITS_EXPIRED,
    "taken_back": Metric.CREDITS_TAKEN_BACK,
    "voided": Metric.CREDITS_TAKEN_BACK,
    "owed": Metric.CREDITS_OWED,
}

type JobHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


class NotPublished(Exception):
    """Some events are not published yet, so that Lambda retries the run. The log names the accounts that failed, or
    says that the run is unfinished."""


def run(deps: Deps, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Publish the events of the stream's records; without records, those that the stream missed, and warnings.

    Raises NotPublished, Busy.
    """
    assert deps.outbox is not None, "the template gives this function the bus"
    piece = partial(within, deps.table, PIECE_SECONDS)
    publisher = PublishContext(
        piece=piece,
        catalog=deps.catalog(piece()),
        clock=deps.clock,
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
        source=deps.event_source,
        to_webhook=deps.outbox.to_webhook,
        to_bus=deps.outbox.to_bus,
        on_failure=on_failure,
    )
    if "Records" in event:
        return report(publish_changes(publisher, map(changed, event["Records"])))
    # Half of the run's time for each, so that a long list of one kind doesn't starve the other.
    reserved_milliseconds = max(context.get_remaining_time_in_millis() // 2, MARGIN_MILLISECONDS)
    warner = replace(publisher, has_time=lambda: context.get_remaining_time_in_millis() > reserved_milliseconds)
    warnings = publish_warnings(warner)
    missing = publish_missing(publisher) if publisher.has_time() else Published(finished=False)
    # Count 0 too: the metric's presence shows that the schedule works.
    count(Metric.EVENTS_FOUND_LATE, missing.late)
    return report(
        replace(
            missing,
            events=missing.events + warnings.events,
            failed=missing.failed + warnings.failed,
            finished=missing.finished and warnings.finished,
        )
    )


def report(published: Published) -> dict[str, Any]:
    """The result of a run, logged and counted. Raises NotPublished."""
    result = {"events": published.events, "failed": published.failed, "finished": published.finished}
    logger.info("published", extra=result)
    count(Metric.EVENTS_PUBLISHED, published.events)
    figures: Counter[tuple[Metric, str | None]] = Counter({(Metric.CODES_LOCKED, None): published.codes_locked})
    for (line, feature), credits in published.figures.items():
        if line in FIGURES:
            figures[FIGURES[line], feature] += credits
    for (metric, feature), value in figures.items():
        if value:
            count(metric, value, feature=feature)
    if published.failed or not published.finished:
        raise NotPublished
    return result


def changed(record: dict[str, Any]) -> tuple[str, str]:
    """The partition and sort key of the row that changed."""
    key = record["dynamodb"]["Keys"]
    return key["PK"]["S"], key["SK"]["S"]


def on_failure(account: str, error: Exception) -> None:
    """Log an account whose events are not all published."""
    logger.error("not published", extra={"account": account}, exc_info=error)


def make_handler(deps: Deps) -> JobHandler:
    """The function's Lambda handler. It returns the result of the run."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return run(deps, event, context)

    return handle


handler = make_handler(wiring.build(from_environment()))
