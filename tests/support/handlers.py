"""The functions' handlers, in this process: their clock, what they print, and the table that they are wired to."""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from local.deploy import STRIPE_RIGHTS
from prepaid.core.calendar import floor_to_millisecond
from prepaid.store.dynamodb import Table
from prepaid.telemetry import logger
from tests.support.functions import Functions
from tests.support.gateway_events import TOKEN
from tests.support.iam_rights import watch
from tests.support.in_process import Service
from tests.support.stripe_purchases import CURRENT_SECRET, OTHER_SECRET, PREVIOUS_SECRET, SHOP_KEY, STRIPE_KEYS

CURSOR_SECRET = "cursor-secret-5d1e0a"
PEPPER = "pepper-secret-b7c2f4"
SIGNING_SECRETS = (CURRENT_SECRET, PREVIOUS_SECRET, OTHER_SECRET)
SECRETS = (*STRIPE_KEYS.values(), SHOP_KEY, *SIGNING_SECRETS, CURSOR_SECRET, PEPPER, TOKEN)
# The permissions of each key at the fake Stripe.
RIGHTS = {STRIPE_KEYS[name]: STRIPE_RIGHTS[name.title().replace("_", "")] for name in STRIPE_KEYS}
# Payers at the fake Stripe, and document numbers in Brazilian formats.
PAYER = re.compile(r"Maria de Teste|maria@example|[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}/")
RETURN_URL = "https://shop.example.com/credits"
START = datetime.fromisoformat("2026-06-16T13:00:00Z")


class Clock:
    """The functions' clock. It stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return floor_to_millisecond(self.now)


class Output(io.StringIO):
    """Everything that the functions print. Metrics go through print, which pytest captures first."""

    capsys: pytest.CaptureFixture[str] | None = None

    def __init__(self) -> None:
        super().__init__()
        # Libraries' warnings, which Lambda writes unchanged.
        self.warnings = io.StringIO()

    def getvalue(self) -> str:
        for text in self.capsys.readouterr() if self.capsys else ():
            self.write(text)
        return super().getvalue()

    def forget(self) -> None:
        """Forget what was printed before."""
        self.getvalue()
        self.seek(0)
        self.truncate()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line, parsed. Fails on other text, which CloudWatch's queries wouldn't find."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def metric(self, name: str) -> list[int]:
        """The values counted under this name, in Embedded Metric Format."""
        return [value for line in self.lines if "_aws" in line and name in line for value in line[name]]


def secret_texts() -> dict[str, str]:
    """The secrets that the template names, by name."""
    stripe: dict[str, dict[str, Any]] = {name: {"api_key": key} for name, key in STRIPE_KEYS.items()}
    stripe["purchase_webhook"]["webhook_secrets"] = [CURRENT_SECRET, PREVIOUS_SECRET]
    return {"cursor": CURSOR_SECRET, "pepper": PEPPER} | {
        f"stripe-{name}": json.dumps(secret) for name, secret in stripe.items()
    }


def listen(patch: pytest.MonkeyPatch) -> Output:
    """The functions' log from here on."""
    output = Output()
    for handler in logger.handlers:
        assert isinstance(handler, logging.StreamHandler)
        patch.setattr(handler, "stream", output)
    foreign = logging.StreamHandler(output.warnings)
    foreign.setLevel(logging.WARNING)
    patch.setattr(logging.root, "handlers", [*logging.root.handlers, foreign])
    return output


def serving(functions: Functions, table: Table, output: Output) -> Iterator[Service]:
    """The functions at one table, until the caller resumes the generator."""
    watch(table.client)
    service = Service(table, functions)
    yield service
    check_discreet(output, service)


def check_discreet(output: Output, service: Service) -> None:
    """Every line is JSON, and none holds a secret, a token, a signature, a body, a code or a payer's data."""
    assert output.lines is not None
    text = output.getvalue() + output.warnings.getvalue()
    assert not PAYER.search(text), "a log line holds a payer's data"
    for code in service.codes:
        assert not re.search(rf"(?<![0-9]){re.escape(code)}(?![0-9])", text), "a log line holds a manager's code"
    for private in {*SECRETS, *service.private}:
        assert private not in text, f"a log line holds {private[:40]!r}"
        assert json.dumps(private)[1:-1] not in text, f"a log line holds {private[:40]!r}"


@dataclass
class FakesTime:
    """The fake Stripe's clock, which follows the test's own."""

    clock: Clock | None = None

    def __call__(self) -> float:
        return (self.clock.now if self.clock else START).timestamp()
