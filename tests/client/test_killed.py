"""A process that is killed while it works: its hold lapses, and nothing is charged."""

import subprocess
import sys
from datetime import timedelta

import pytest

from tests.support.bridge import token
from tests.support.gateway_events import ANYBODY
from tests.support.handlers import Clock
from tests.support.served import Served

CHARGED = """
import sys, time
from prepaid_client import Prepaid

client = Prepaid(sys.argv[1], sys.argv[2])

@client.charge("sticker", account="acme", key="job-1", quantity=4, ttl_seconds=60)
def draw(seconds):
    print("drawing", flush=True)
    time.sleep(seconds)

draw(float(sys.argv[3]))
print("drawn", flush=True)
"""
IN_A_BLOCK = """
import sys, time
from prepaid_client import Prepaid

with Prepaid(sys.argv[1], sys.argv[2]).account("acme").hold("sticker", 4, key="job-1", ttl_seconds=60) as hold:
    print("drawing", flush=True)
    time.sleep(float(sys.argv[3]))
    hold.capture()
print("drawn", flush=True)
"""


def start(program: str, shop: Served, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, shop.url, token(ANYBODY), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("program", [CHARGED, IN_A_BLOCK], ids=["charge", "hold"])
def test_a_killed_process_is_charged_nothing(shop: Served, clock: Clock, program: str) -> None:
    with start(program, shop, 60) as process:
        assert process.stdout
        assert process.stdout.readline() == "drawing\n"
        held = shop.service.balance()["credits"]

        process.kill()

    assert process.returncode == -9
    assert (held["available"], held["held"]) == (6, 4)
    clock.now += timedelta(seconds=60)
    after = shop.service.balance()["credits"]
    assert (after["available"], after["held"]) == (10, 0)
    assert {entry["type"] for entry in shop.service.history()} & {"capture", "consumption"} == set()


@pytest.mark.parametrize("program", [CHARGED, IN_A_BLOCK], ids=["charge", "hold"])
@pytest.mark.parametrize("lapsed", [False, True])
def test_the_killed_job_delivered_again_is_charged_once(shop: Served, clock: Clock, program: str, lapsed: bool) -> None:
    with start(program, shop, 60) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    clock.now += timedelta(seconds=60 if lapsed else 1)

    with start(program, shop, 0) as again:
        assert again.stdout
        printed = again.stdout.read()

    assert printed == "drawing\ndrawn\n"
    after = shop.service.balance()["credits"]
    assert (after["available"], after["held"]) == (6, 0)
