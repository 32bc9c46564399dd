"""One id of a request: in the gateway's log, in each line of the function's, and in every error that a caller sees."""

from typing import Any, Never

import pytest

from tests.support.api import BALANCE, CONSUME
from tests.support.expected_template import ACCESS_LOG
from tests.support.gateway_events import REQUEST_ID, Context, http_event
from tests.support.handlers import Output
from tests.support.in_process import Service


@pytest.mark.parametrize(
    ("route", "status"), [(BALANCE, 404), (CONSUME, 400), ("GET /v1/unheard", 404)], ids=["rule", "request", "route"]
)
def test_an_error_and_its_log_line_carry_the_gateways_id(
    service: Service, output: Output, route: str, status: int
) -> None:
    event = http_event(route, path={"account": "nobody"} if "{account}" in route else {})

    answer = service.functions["consume" if route == CONSUME else "balance_query"](event, Context())

    assert answer["statusCode"] == status
    assert f'"request_id":"{REQUEST_ID}"' in answer["body"]
    lines = [line for line in output.lines if "_aws" not in line]
    assert lines
    assert {line["request_id"] for line in lines} == {REQUEST_ID}
    assert ACCESS_LOG["request_id"] == "$context.requestId"


def test_an_error_page_shows_the_id(service: Service) -> None:
    page = service.send(http_event("GET /portal", claims=None))

    assert page.status == 401
    assert REQUEST_ID in page.text


def test_a_success_needs_no_id_in_its_body(service: Service) -> None:
    service.open(credits=1)

    assert REQUEST_ID not in service(BALANCE).text


def test_an_unexpected_error_is_counted_and_logged(service: Service, output: Output) -> None:
    service.open()

    def broken(_: Any) -> Never:
        raise ZeroDivisionError

    service.functions.change("balance_query", catalog=broken)

    assert service(BALANCE, may_fail=True).status == 500
    assert output.metric("InternalErrors") == [1]
    [line] = [line for line in output.lines if line.get("message") == "failed"]
    assert "ZeroDivisionError" in line["exception"]
