"""Times, days, positions and numbers at the end of what they can be: an answer or a refusal, never a 500."""

from itertools import product

import pytest

from prepaid.api import openapi
from tests.support.api import BY_SCOPE, FEED, GRANT, STATEMENT
from tests.support.gateway_events import ADMIN
from tests.support.in_process import Service

HOURS = ("0001-01-01T00:00:00", "1900-01-01T00:00:00", "2500-12-31T23:59:59", "9999-12-31T23:59:59")
OFFSETS = ("Z", "+14:00", "-14:00", "+23:59", "-23:59")
TIMES = [
    f"{hour}{digits}{offset}" for hour, digits, offset in product(HOURS, ("", ".000000001", ".999999999"), OFFSETS)
]
DAYS = [hour[:10] for hour in HOURS]
POSITIONS = [f"{hour}.999#{what}" for hour, what in product((*HOURS, "0000-01-01T00:00:00"), ("", "acme#999999999999"))]
NUMBERS = ["0", "1", "999999999999", "9" * 99]
VALUES = [*TIMES, *DAYS, *POSITIONS, *NUMBERS]
PARAMETERS = sorted(
    (route.key, parameter.name)
    for route in openapi.ROUTES
    for parameter in route.parameters
    if parameter.where == "query"
)


@pytest.fixture
def opened(service: Service) -> Service:
    service.open(credits=5, time_zone="Pacific/Kiritimati")
    service.spend(1)
    return service


@pytest.mark.parametrize(("route", "name"), PARAMETERS)
def test_no_query_parameter_is_too_far_away(opened: Service, route: str, name: str) -> None:
    by = ADMIN if route == FEED else BY_SCOPE
    statuses = {opened(route, query={name: value}, by=by).status for value in VALUES}

    assert statuses <= {200, 400, 404, 422}


@pytest.mark.parametrize("month", ["0001-01", "1900-01", "2499-12", "2500-01", "9999-12"])
def test_no_month_is_too_far_away(opened: Service, month: str) -> None:
    assert opened(STATEMENT, month=month).status in {404, 422}


@pytest.mark.parametrize("time", TIMES)
def test_no_end_of_a_lot_is_too_far_away(opened: Service, time: str) -> None:
    grant = {"credits": 1, "kind": "promotion", "reason": "r", "expires_at": time}

    assert opened(GRANT, json=grant).status in {201, 422}
