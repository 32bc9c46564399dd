"""`python -m fake_stripe`: its ready line, its end, and its errors."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_stripe.server import RunningFake
from fake_stripe.tests.support import Controls

ROOT = Path(__file__).parents[2]


def start(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "fake_stripe", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_prints_its_address_and_stops_cleanly(number: signal.Signals) -> None:
    with start("--port", "0", "--api-key", "rk_test_shop", "--webhook-secret", "whsec_x") as program:
        assert program.stdout is not None
        ready = program.stdout.readline()
        url = ready.split(" on ")[1].split(" ")[0]
        health = Controls(url).request("GET", "/healthz")[2]

        started = time.monotonic()
        program.send_signal(number)
        rest, errors = program.communicate(timeout=5)

    assert ready.startswith("Fake Stripe ready on http://127.0.0.1:")
    assert json.loads(health) == {"status": "ok"}
    assert (program.returncode, rest, errors) == (0, "", "")
    assert time.monotonic() - started < 3


def test_a_port_in_use_prints_one_clear_line(fake: RunningFake) -> None:
    port = fake.url.rpartition(":")[2]

    with start("--port", port) as program:
        _, errors = program.communicate(timeout=10)

    assert program.returncode == 1
    assert errors.strip() == f"Can't listen on port {port}: Address already in use; choose another with --port"


@pytest.mark.parametrize(
    "options",
    [
        ["--webhook-url", "ftp://x"],
        ["--api-key", "sk_live_x"],
        ["--retry-seconds", "soon"],
        ["--port", "99999"],
    ],
)
def test_an_invalid_option_prints_one_clear_line(options: list[str]) -> None:
    with start(*options) as program:
        out, errors = program.communicate(timeout=10)

    assert (program.returncode, out) == (2, "")
    assert errors.startswith("Can't start the fake Stripe: ")
    assert len(errors.splitlines()) == 1


def test_the_api_in_process_loads_no_web_framework() -> None:
    code = "import sys, fake_stripe.api; print({'flask', 'jinja2', 'babel', 'segno'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True)

    assert done.stdout == "set()\n"
