"""On each message of the webhook's queue: sends one event to the platform's webhook."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.core.calendar import instant
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.store.dynamodb import within
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.delivering import DeliverContext, Delivered, QueuedEvent, deliver, is_too_old

# The deadline of the database calls of a delivery. The last one may follow the receiver's response: it records that the
# receiver wants no more events.
DEADLINE_SECONDS = 20.0

type QueueHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def run(deps: Deps, record: dict[str, Any]) -> bool:
    """Deliver one message. Returns whether it leaves the queue.

    Raises ValueError for an unusable secret, Busy; the queue then delivers the message again after its own time-out.
    """
    assert deps.webhook is not None, "the template gives this function a webhook"
    queued = QueuedEvent(
        text=record["body"],
        tries=int(record["attributes"]["ApproximateReceiveCount"]),
        queued_at=instant(int(record["attributes"]["SentTimestamp"])),
    )
    context = DeliverContext(
        table=within(deps.table, DEADLINE_SECONDS),
        target=deps.webhook.target,
        secret=deps.webhook.secret,
        post=deps.webhook.post,
        now=deps.clock,
    )
    try:
        delivered = deliver(context, queued)
    except Exception:
        if not is_too_old(queued, deps.clock()):
            raise
        # If every message were retried for days, an account's last messages would become too old for the queue.
        logger.exception("not delivered")
        delivered = Delivered("given up")
    logger.info("webhook", extra={"outcome": delivered.outcome, "status": delivered.status, "tries": queued.tries})
    if delivered.outcome == "failed":
        count(Metric.ENDPOINT_DELIVERIES_FAILED, 1)
        deps.webhook.hide(record["receiptHandle"], delivered.wait_seconds)
        return False
    if delivered.outcome == "delivered":
        count(Metric.ENDPOINT_DELIVERIES, 1)
        return True
    count(Metric.ENDPOINT_DELIVERIES_GIVEN_UP, 1)
    attributes = record["attributes"]
    deps.webhook.give_up(attributes["MessageGroupId"], attributes["MessageDeduplicationId"], record["body"])
    return True


def make_handler(deps: Deps) -> QueueHandler:
    """The function's Lambda handler. It returns the message's id if the message stays in the queue."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        # With several messages at once, the queue would count tries for those behind a failed one.
        [record] = event["Records"]
        leaves_queue = run(deps, record)
        return {"batchItemFailures": [] if leaves_queue else [{"itemIdentifier": record["messageId"]}]}

    return handle


handler = make_handler(wiring.build(from_environment()))
