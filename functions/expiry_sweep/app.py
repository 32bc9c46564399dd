"""On a schedule: records the end of lots whose day has come. Nothing that can be spent depends on it."""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from prepaid import wiring
from prepaid.api.metrics import count
from prepaid.store.due import DueLot
from prepaid.store.dynamodb import Patience
from prepaid.store.sweep import sweep

# Enough to finish the page in hand and keep the checkpoint.
MARGIN_MILLISECONDS = 15_000

logger = Logger()


def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """One run; the answer says what it did. An unfinished run goes on at the next schedule."""
    patience = Patience(seconds=4.0)
    swept = sweep(
        wiring.table(),
        catalog=wiring.catalog()(patience),
        now=wiring.now(),
        patience=patience,
        has_time=lambda: context.get_remaining_time_in_millis() > MARGIN_MILLISECONDS,
        on_failure=on_failure,
    )
    answer = {"recorded": swept.recorded, "failed": swept.failed, "finished": swept.finished}
    logger.info("swept", extra={"request_id": context.aws_request_id, **answer})
    count("LotsExpired", swept.recorded)
    count("SweepFailures", swept.failed)
    return answer


def on_failure(row: DueLot, error: Exception) -> None:
    """One lot that couldn't be recorded; the next run tries it again and the alarm SweepFailures counts it."""
    logger.error("lot not recorded", extra={"account": row.account, "lot": row.lot}, exc_info=error)
