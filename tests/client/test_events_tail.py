"""`prepaid events tail`: a line for each event, from a position on."""

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import CLIENTS, EVENTS
from tests.support.bridge import bridge, token
from tests.support.command_line import CommandLine
from tests.support.gateway_events import Event
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.publishing import publish_entry


@pytest.fixture
def published(service: Service, clock: Clock) -> Service:
    """Two accounts with five events, published a minute ago."""
    service.open(credits=12)
    service.spend(10)
    service.open("zoo")
    publish_entry(service, "acme", 3)
    publish_entry(service, "zoo", 1)
    clock.now += timedelta(minutes=1)
    return service


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_the_events_of_all_accounts_are_lines(prepaid: CommandLine, published: Service) -> None:
    people = prepaid("events", "tail", "--after", "0", "--no-follow").stdout.splitlines()
    program = lines(prepaid("events", "tail", "--after", "0", "--no-follow", "--json").stdout)

    assert people[0].split() == ["at", "(UTC)", "account", "event", "entry", "feature", "credits", "available"]
    assert people[3].split()[2:] == ["acme", "entry.consumption", "3", "sticker", "-10", "2"]
    assert people[4].split()[2:] == ["acme", "alert.credits_low", "3", "-", "-", "2", "threshold", "10"]
    assert [event["subject"] for event in program] == ["acme"] * 4 + ["zoo"]
    assert program[:4] == published(EVENTS).body["events"]


def test_a_tail_says_where_to_continue(prepaid: CommandLine, published: Service) -> None:
    first = prepaid("events", "tail", "--after", "0", "--no-follow", "--json")
    position = json.loads(first.stderr)["next"]

    again = prepaid("events", "tail", "--after", position, "--no-follow")

    assert len(again.stdout.splitlines()) == 1
    assert again.stderr == f"prepaid: continue with --after '{position}'\n"


def test_a_tail_begins_at_a_time(prepaid: CommandLine, published: Service, clock: Clock) -> None:
    command = ("events", "tail", "--no-follow", "--json", "--after")

    before = prepaid(*command, (clock.now - timedelta(minutes=2)).isoformat())
    after = prepaid(*command, clock.now.isoformat())

    assert (len(lines(before.stdout)), after.stdout) == (5, "")


def test_one_account_is_followed_without_delay(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=12)
    service.spend(1)

    new = lines(prepaid("events", "tail", "--account", "acme", "--after", "2", "--no-follow", "--json").stdout)
    nothing = prepaid("events", "tail", "--account", "acme", "--no-follow", "--json")

    assert [event["data"]["entry"] for event in new] == [3]
    assert (nothing.stdout, json.loads(nothing.stderr)) == ("", {"next": "3"})


def test_many_events_are_read_page_by_page(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=500)
    for number in range(120):
        service.spend(1, key=f"job-{number}")

    found = lines(prepaid("events", "tail", "--account", "acme", "--after", "0", "--no-follow", "--json").stdout)

    assert [event["data"]["entry"] for event in found] == list(range(1, 123))


@pytest.mark.parametrize(
    ("arguments", "exits", "message"),
    [
        (("--after", "yesterday"), 1, "422 invalid_request"),
        (("--after", "2026-06-16T12:00:00"), 2, "has no time zone"),
        (("--account", "acme", "--after", "x"), 2, "the number of an entry"),
        (("--account", "nobody"), 1, "404 account_not_found"),
    ],
)
def test_a_wrong_position_is_reported(
    prepaid: CommandLine, arguments: tuple[str, ...], exits: int, message: str
) -> None:
    stderr = prepaid("events", "tail", "--no-follow", *arguments, exits=exits).stderr

    assert message in stderr
    assert len(stderr.splitlines()) == 1


def test_an_unavailable_service_at_the_start_is_exit_code_2(prepaid: CommandLine) -> None:
    """It asks for a longer wait than the client's deadline, so the command doesn't retry."""

    def unavailable(_: Event) -> dict[str, Any]:
        return {"statusCode": 503, "headers": {"Retry-After": "60"}}

    with bridge(unavailable) as url:
        result = prepaid("events", "tail", exits=2, PREPAID_URL=url, PREPAID_TOKEN=token(CLIENTS["admin"]))

    assert "the answer was 503" in result.stderr


def test_ctrl_c_ends_a_tail_without_an_error(prepaid: CommandLine, service: Service) -> None:
    service.open(credits=12)
    program = [
        str(Path(sys.executable).with_name("prepaid")),
        "events",
        "tail",
        "--account",
        "acme",
        "--after",
        "0",
        "--json",
    ]
    environment = {**os.environ, "PREPAID_PROFILE": str(prepaid.profile)}

    with subprocess.Popen(program, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tail:
        assert tail.stdout
        assert tail.stderr
        first = [json.loads(tail.stdout.readline())["data"]["entry"] for _ in range(2)]
        service.spend(2)
        later = json.loads(tail.stdout.readline())["data"]["credits"]
        tail.send_signal(signal.SIGINT)
        stderr = tail.stderr.read()

    assert (first, later, tail.returncode) == ([1, 2], -2, 0)
    # The page of the last event may not be finished: then its event is printed again, and none is missing.
    assert stderr in ('{"next":"2"}\n', '{"next":"3"}\n')
