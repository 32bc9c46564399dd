"""On a schedule: records in the ledger that lots expired and holds lapsed. No balance depends on it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.store.due import DueRow
from prepaid.store.dynamodb import within
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.sweeping import PIECE_SECONDS, SweepContext, sweep

# Enough to read a page or record a row, and then to save the checkpoint. Each takes at most 17 seconds: the deadline of
# a piece is 10 seconds, and a call that begins just before it may take seven.
MARGIN_MILLISECONDS = 40_000
# Fewer than the client's ten connections. The threads mostly wait for the database, and share one core.
ACCOUNTS_AT_ONCE = 8

type JobHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def run(deps: Deps, context: LambdaContext, **limits: Any) -> dict[str, Any]:
    """Sweep until the work or the time ends; the next run continues. `limits`: of SweepContext. Raises Busy."""
    piece = partial(within, deps.table, PIECE_SECONDS)
    with ThreadPoolExecutor(ACCOUNTS_AT_ONCE) as pool:
        settings: dict[str, Any] = {"spread": pool.map, **limits}
        swept = sweep(
            SweepContext(
                piece=piece,
                catalog=deps.catalog(piece()),
                now=deps.clock(),
                has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
                on_failure=on_failure,
                **settings,
            )
        )
    result = {"recorded": swept.recorded, "failed": swept.failed, "finished": swept.finished}
    logger.info("swept", extra=result)
    count(Metric.LOTS_EXPIRED, swept.recorded)
    count(Metric.SWEEP_FAILURES, swept.failed)
    return result


def on_failure(row: DueRow, error: Exception) -> None:
    """Log a lot or hold whose end couldn't be recorded. The next run retries it; the metric SweepFailures counts it."""
    logger.error("end not recorded", extra={"account": row.account, "what": row.what}, exc_info=error)


def make_handler(deps: Deps, **limits: Any) -> JobHandler:
    """The function's Lambda handler. It returns the result of the run."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return run(deps, context, **limits)

    return handle


handler = make_handler(wiring.build(from_environment()))
