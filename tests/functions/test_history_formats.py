"""The history as JSON or CSV, as the request's Accept header prefers."""

import pytest

from tests.support.api import HISTORY
from tests.support.in_process import Service

JSON, CSV = "application/json", "text/csv; charset=utf-8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("Text/CSV;q=0.1", CSV),
        ("text/csv;q=0", JSON),
        ("text/csv;q=0, */*;q=0.1", JSON),
        ("application/json, text/csv;q=0.5", JSON),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/html, text/*;q=0.1", CSV),
        # Neither type: JSON, as on every other route.
        ("text/html", JSON),
        ("text/csvx", JSON),
        ("application/json;q=0", JSON),
        ("x" * 9_000, JSON),
    ],
)
def test_the_accept_header_chooses_the_type(service: Service, accept: str | None, content_type: str) -> None:
    service.open()

    answer = service(HISTORY, headers={} if accept is None else {"Accept": accept})

    assert (answer.status, answer.headers["content-type"]) == (200, content_type)


def test_a_refusal_is_never_csv(service: Service) -> None:
    answer = service(HISTORY, "nobody", headers={"accept": "text/csv"})

    assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
