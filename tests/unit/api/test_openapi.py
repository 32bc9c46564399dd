"""openapi.json and the problems agree."""

from types import SimpleNamespace

from prepaid.api import openapi
from prepaid.api.http.problems import PROBLEMS


def test_the_contract_has_retry_after_wherever_it_is_sent() -> None:
    some_error = SimpleNamespace(retry_after_seconds=1)
    codes_with_header = {
        error.code for error, problem in PROBLEMS.items() if "Retry-After" in problem.headers(some_error)
    }

    responses = {
        f"{method} {path} {status}": response
        for path, operations in openapi.document()["paths"].items()
        for method, operation in operations.items()
        for status, response in operation["responses"].items()
    }

    assert codes_with_header == {"busy", "code_locked", "payments_unavailable"}
    assert {name for name, response in responses.items() if "Retry-After" in response.get("headers", {})} == {
        name for name, response in responses.items() if codes_with_header & set(response["description"].split(", "))
    }
