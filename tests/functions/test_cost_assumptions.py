"""What docs/costs.md assumes of a request and of a job, measured on the real handlers."""

import json

from bench.costs import ASSUMED, DEBIT, JOB_METRICS
from tests.support.api import CONSUME
from tests.support.gateway_events import Context
from tests.support.handlers import Output
from tests.support.in_process import Service
from tests.support.reconciliation import Run
from tests.support.stripe_purchases import Storefront
from tests.support.template import read_template


def test_a_debit_logs_about_as_much_as_assumed(service: Service, output: Output) -> None:
    service.open(credits=100)
    before = len(output.getvalue())

    service(CONSUME, json=DEBIT)

    assumed = ASSUMED["bytes of a function's log lines, a request"]
    # Lambda's own lines of a request come on top.
    assert assumed / 3 < len(output.getvalue()) - before <= assumed


def test_a_response_is_about_as_long_as_assumed(service: Service) -> None:
    service.open(credits=100)

    answer = service(CONSUME, json=DEBIT)

    length = len(answer.text) + len(json.dumps(dict(answer.headers)))
    assert ASSUMED["bytes of a response, with headers"] / 3 < length <= ASSUMED["bytes of a response, with headers"]


def test_an_access_log_line_is_about_as_long_as_assumed() -> None:
    written = read_template()["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"]

    # Each variable stands for a value of about its own length.
    assert ASSUMED["bytes of an access log line"] / 3 < len(written) <= ASSUMED["bytes of an access log line"]


def test_the_jobs_publish_the_metrics_that_are_counted(
    storefront: Storefront, service: Service, run: Run, output: Output
) -> None:
    """In every run, so also in a month in which nobody spends."""
    output.metric("RowsVerified")
    run()
    for function in ("expiry_sweep", "verify"):
        service.functions[function]({}, Context(remaining=900_000))

    assert all(output.metric(name) for name in JOB_METRICS)
