"""What a cold start loads, because the imports decide how long it takes."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.support.apps import load_app

# Several tests look at the same interpreter.
pytestmark = pytest.mark.xdist_group("imports")

ROOT = Path(__file__).parents[2]
HEAVY = [
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.validation",
    "aws_xray_sdk",
    "csv",
    "fake_stripe",
    "local",
    "prepaid.api.openapi",
    "pydantic",
    "requests",
    "stripe",
]
# By function: modules in sys.modules once its file is loaded. A bare boto3 with a client of DynamoDB has 395.
MODULES = {
    "accounts": 546,
    "balance_query": 483,
    "checkout": 573,
    "consume": 535,
    "deliver": 480,
    "erasures": 537,
    "expiry_sweep": 478,
    "portal": 595,
    "publish": 488,
    "purchase_webhook": 773,
    "reconcile": 767,
    "verify": 507,
}
# The functions with routes that the first request for one of them loads.
LATER = sorted(app.parent.name for app in (ROOT / "functions").glob("*/app.py") if "more_routes" in app.read_text())
# Room for another patch release of Python, which adds or drops a few modules, and for one or two of our own. A library
# that isn't loaded yet brings more: Powertools' idempotency 20, asyncio 30, pydantic 75, requests 98.
MORE = 12


@cache
def loaded_by(function: str) -> set[str]:
    """Everything in sys.modules once a fresh interpreter has loaded the function's file."""
    return set(json.loads(_after_loading(function, "json.dumps(sorted(sys.modules))")))


def _after_loading(function: str, expression: str) -> str:
    """The value of an expression in a fresh interpreter that has loaded the function's file."""
    code = f"import gc, json, runpy, sys; runpy.run_path(sys.argv[1]); print({expression})"
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT / "functions" / function / "app.py")],
        env={
            "PYTHONPATH": str(ROOT / "layers" / "prepaid"),
            "TABLE_NAME": "none",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("function", "allowed"),
    [
        ("consume", {"pydantic"}),
        ("balance_query", set()),
        ("accounts", {"pydantic"}),
        # The manager's code and lists of purchases don't wait for the payment provider's client.
        ("checkout", {"pydantic"}),
        ("erasures", {"pydantic"}),
        ("expiry_sweep", set()),
        ("reconcile", {"stripe", "requests", "csv"}),
        ("purchase_webhook", {"stripe", "requests", "csv"}),
    ],
)
def test_a_function_loads_nothing_that_it_does_not_use(function: str, allowed: set[str]) -> None:
    loaded = loaded_by(function)
    assert "prepaid.wiring" in loaded
    assert [heavy for heavy in HEAVY if heavy in loaded and heavy not in allowed] == []


@pytest.mark.parametrize("function", MODULES)
def test_a_function_loads_hardly_more_modules_than_it_did(function: str) -> None:
    """Where a function loads fewer, lower its number, so that the bound stays close."""
    loaded = len(loaded_by(function))

    assert MODULES[function] - 2 * MORE <= loaded <= MODULES[function] + MORE


@pytest.mark.parametrize("function", LATER)
def test_routes_of_later_requests_are_not_loaded(function: str) -> None:
    later = {route.function.__module__ for route in load_app(function).more_routes()}

    assert later
    assert later & loaded_by(function) == set()


@pytest.mark.parametrize("function", ["accounts", "checkout", "consume", "erasures"])
def test_a_cold_start_builds_no_validator_of_a_body(function: str) -> None:
    bodies = "sys.modules['prepaid.api.http.bodies'].Body.__subclasses__()"
    built = f"[body.__name__ for body in {bodies} if body.__pydantic_complete__]"

    defined, complete = json.loads(_after_loading(function, f"json.dumps([len({bodies}), {built}])"))

    assert defined
    assert complete == []


def test_every_function_has_a_number_of_modules() -> None:
    assert sorted(MODULES) == sorted(app.parent.name for app in (ROOT / "functions").glob("*/app.py"))


def test_a_cold_start_hardly_collects_garbage() -> None:
    searches = json.loads(_after_loading("consume", "json.dumps([each['collections'] for each in gc.get_stats()])"))

    # Python's own threshold makes it forty searches of new objects and three of all.
    assert searches[0] < 10
    assert searches[1:] == [0, 0]
