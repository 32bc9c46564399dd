"""On a schedule: checks every row of the table against the rules. It writes what it has verified, nothing else."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.deps import Deps
from prepaid.settings import from_environment
from prepaid.telemetry import Metric, count, logger
from prepaid.use_cases.verifying.findings import Finding
from prepaid.use_cases.verifying.running import run_scheduled
from prepaid.use_cases.verifying.scan_pass import VerifyContext

# Enough for the page in hand, a second look at an account, and to keep the place.
MARGIN_MILLISECONDS = 120_000

type JobHandler = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]


def run(deps: Deps, context: LambdaContext, **limits: Any) -> dict[str, Any]:
    """Read on while there is time. `limits`: of VerifyContext. Raises Busy, and what AWS refuses; the next run
    continues at the last page that was read whole, and reports none of its findings again."""
    done = run_scheduled(
        VerifyContext(table=deps.table, now=deps.clock, on_finding=on_finding, **limits),
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
    )
    answer = {"read": done.read, "found": done.found, "finished": done.finished}
    logger.info("verified", extra=answer)
    count(Metric.ROWS_VERIFIED, done.read)
    return answer


def on_finding(finding: Finding) -> None:
    """One finding, counted at once: a run may be killed before its end. docs/operating.md says what to do."""
    about = {"code": finding.code, "account": finding.account, "where": finding.where}
    logger.error("finding", extra={**about, "expected": finding.expected, "found": finding.found})
    count(Metric.VERIFICATION_FINDINGS, 1)


def make_handler(deps: Deps, **limits: Any) -> JobHandler:
    """What Lambda calls. The answer says what the run did."""

    @logger.inject_lambda_context(clear_state=True)
    def handle(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        return run(deps, context, **limits)

    return handle


handler = make_handler(wiring.build(from_environment()))
