"""What a cold start loads, because the imports decide how long it takes."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

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
    "requests",
    "stripe",
]
# By function: modules in sys.modules once its file is loaded. A bare boto3 with a client of DynamoDB has 395.
MODULES = {
    "accounts": 560,
    "balance_query": 558,
    "checkout": 573,
    "consume": 541,
    "deliver": 480,
    "erasures": 537,
    "expiry_sweep": 478,
    "portal": 595,
    "publish": 488,
    "purchase_webhook": 821,
    "reconcile": 767,
    "verify": 507,
}
# Room for some modules of our own and for another patch release of Python. A library that isn't loaded yet brings more:
# Powertools' idempotency 20, asyncio 30, requests 98.
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
        ("consume", set()),
        ("balance_query", set()),
        ("accounts", set()),
        # The manager's code and lists of purchases don't wait for the payment provider's client.
        ("checkout", set()),
        ("erasures", set()),
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


def test_every_function_has_a_number_of_modules() -> None:
    assert sorted(MODULES) == sorted(app.parent.name for app in (ROOT / "functions").glob("*/app.py"))


def test_a_cold_start_hardly_collects_garbage() -> None:
    searches = json.loads(_after_loading("consume", "json.dumps([each['collections'] for each in gc.get_stats()])"))

    # Python's own threshold makes it forty searches of new objects and three of all.
    assert searches[0] < 10
    assert searches[1:] == [0, 0]
