"""What docs/costs.md assumes of a request and of a job, measured on the real handlers."""

import json

from bench.costs import ASSUMED, DEBIT, JOB_METRICS
from prepaid.deps import Outbox
from prepaid.store import keys
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
    publish_nothing(service)
    before = len(output.lines)
    run()
    for function in ("expiry_sweep", "verify", "publish"):
        service.functions[function]({}, Context(remaining=900_000))

    published = {
        metric["Name"]
        for line in output.lines[before:]
        if "_aws" in line
        for directive in line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]
    }
    assert published == set(JOB_METRICS)


def test_publishing_an_event_logs_about_as_much_as_assumed(service: Service, output: Output) -> None:
    service.open(credits=100)
    publish_nothing(service)
    assert service(CONSUME, json=DEBIT).status == 201
    before = len(output.getvalue())

    service.functions["publish"](
        {"Records": [{"dynamodb": {"Keys": keys.entry("acme", 3)}}]}, Context(remaining=300_000)
    )

    assumed = ASSUMED["bytes of the publisher's log lines, a run"]
    assert assumed / 3 < len(output.getvalue()) - before <= assumed


def publish_nothing(service: Service) -> None:
    """Give the publisher a bus that nobody listens to."""
    service.functions.change("publish", outbox=Outbox(to_webhook=None, to_bus=lambda _: None))
