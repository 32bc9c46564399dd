"""On a schedule: checks the table against the rules: new entries each day, and every row at longer intervals.

It writes only its own progress, audits and marks.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.store.dynamodb import within
from prepaid.telemetry import Metric, count, logger, measure_seconds
from prepaid.use_cases.verifying.checking import PIECE_SECONDS, VerifyContext
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.running import run_scheduled

# Enough to finish the current page, to recheck an account and to save the pass.
MARGIN_MILLISECONDS = 120_000

type JobHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def run(deps: Deps, context: LambdaContext, **limits: Any) -> dict[str, Any]:
    """Continue the passes while there is time. `limits`: of VerifyContext. Raises Busy and AWS's errors.

    The next run continues after the last page that was read completely, and doesn't report its findings again.
    """
    passes = run_scheduled(
        VerifyContext(
            piece=partial(within, deps.table, PIECE_SECONDS), now=deps.clock, on_finding=on_finding, **limits
        ),
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
    )
    result = {
        "read": passes.read,
        "found": passes.found,
        "finished": passes.finished,
        "began_at": passes.began_at.isoformat(),
        "due_at": passes.due_at.isoformat(),
    }
    logger.info("verified", extra=result)
    count(Metric.ROWS_VERIFIED, passes.read)
    if not passes.finished:
        # Only then, because CloudWatch charges for a metric in each hour in which it is published.
        measure_seconds(Metric.VERIFICATION_BEHIND, int(passes.behind.total_seconds()))
    return result


def on_finding(finding: Finding) -> None:
    """Log and count a finding immediately, because a run may be killed before its end. See docs/operating.md."""
    place = {"code": finding.code, "account": finding.account, "where": finding.where}
    logger.error("finding", extra={**place, "expected": finding.expected, "found": finding.found})
    count(Metric.VERIFICATION_FINDINGS, 1)


def make_handler(deps: Deps, **limits: Any) -> JobHandler:
    """The function's Lambda handler. It returns the result of the run."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return run(deps, context, **limits)

    return handle


SETTINGS = from_environment()
handler = make_handler(wiring.build(SETTINGS), whole_every=timedelta(days=SETTINGS.verify_whole_days))
