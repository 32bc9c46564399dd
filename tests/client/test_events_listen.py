"""`prepaid events listen`: an endpoint gets every event, signed and in order, however it answers."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from prepaid_client.cli.following import follow
from prepaid_client.cli.listening import Attempt, attempts, new_secret
from tests.support.api import EVENTS
from tests.support.command_line import CommandLine
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.publishing import publish_entry
from tests.support.receiver import Answer, Received, Receiver, receiver
from tests.support.served import Served


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as endpoint:
        yield endpoint


@pytest.fixture
def spent(service: Service) -> Service:
    """Account acme, whose four entries mean five events."""
    service.open(credits=20)
    service.spend(10)
    service.spend(1)
    return service


def of_account(endpoint: Receiver) -> tuple[str, ...]:
    return ("events", "listen", "--forward-to", endpoint.url, "--account", "acme")


def lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def answers(*statuses: int | None) -> Callable[[Received], Answer | None]:
    """One answer after the other, and then 204. None: no answer."""
    left = list(statuses)

    def answer(_received: Received) -> Answer | None:
        status = left.pop(0) if left else 204
        return None if status is None else Answer(status)

    return answer


@contextmanager
def running(prepaid: CommandLine, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The installed program, which follows until it is stopped."""
    program = [str(Path(sys.executable).with_name("prepaid")), "events", "listen", *arguments]
    environment = {**os.environ, "PREPAID_PROFILE": str(prepaid.profile)}
    pipe = subprocess.PIPE
    with subprocess.Popen(program, env=environment, text=True, stdout=pipe, stderr=pipe) as started:
        try:
            yield started
        finally:
            started.kill()


def stop(program: subprocess.Popen[str]) -> str:
    """Press Ctrl-C. Returns what it says on stderr."""
    program.send_signal(signal.SIGINT)
    return program.communicate(timeout=30)[1]


def wait_for(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline, "it didn't arrive"
        time.sleep(0.05)


def test_each_event_arrives_signed_and_as_the_api_has_it(
    prepaid: CommandLine, spent: Service, endpoint: Receiver
) -> None:
    done = prepaid(*of_account(endpoint), "--after", "0", "--no-follow", "--json")

    first, *tried = lines(done.stdout)
    verifier = Webhook(first["secret"])
    events = spent(EVENTS).body["events"]
    assert [verifier.verify(delivery.body, delivery.headers) for delivery in endpoint.received] == events
    assert [delivery.headers["webhook-id"] for delivery in endpoint.received] == [event["id"] for event in events]
    assert [(delivery["id"], delivery["status"], delivery["attempt"]) for delivery in tried] == [
        (event["id"], 204, 1) for event in events
    ]


def test_the_events_of_all_accounts_are_forwarded(
    prepaid: CommandLine, spent: Service, endpoint: Receiver, clock: Clock
) -> None:
    spent.open("zoo")
    publish_entry(spent, "zoo", 1)
    publish_entry(spent, "acme", 4)
    clock.now += timedelta(minutes=1)

    text = prepaid("events", "listen", "--forward-to", endpoint.url, "--after", "0", "--no-follow").stdout

    assert len(endpoint.received) == 6
    assert "all accounts, half a minute after they happen" in text
    assert text.splitlines()[-1].split()[1:2] == ["204"]


def test_the_secret_is_shown_once_and_stays(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    first = prepaid(*of_account(endpoint), "--after", "0", "--no-follow").stdout
    secret = first.partition("whsec_")[2].split()[0]

    again = prepaid(*of_account(endpoint), "--after", "3", "--no-follow").stdout

    assert secret not in again
    assert "as it was shown before" in again
    Webhook(f"whsec_{secret}").verify(endpoint.received[-1].body, endpoint.received[-1].headers)
    files = [file for file in prepaid.profile.parent.iterdir() if file != prepaid.profile]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600]


def test_a_failed_event_is_tried_again_before_the_next(
    prepaid: CommandLine, spent: Service, endpoint: Receiver
) -> None:
    endpoint.answer = answers(204, 500, None)

    done = prepaid(*of_account(endpoint), "--after", "0", "--no-follow", "--json")

    tried = [
        (tried_line["entry"], tried_line["status"], tried_line["detail"], tried_line["again_in"])
        for tried_line in lines(done.stdout)[1:]
    ]
    assert tried[:4] == [
        (1, 204, None, None),
        (2, 500, None, 1.0),
        (2, None, "no answer (RemoteProtocolError)", 2.0),
        (2, 204, None, None),
    ]
    assert len({tried_line.headers["webhook-id"] for tried_line in endpoint.received}) == 5
    assert len({tried_line.headers["webhook-signature"] for tried_line in endpoint.received[1:4]}) > 1


@pytest.mark.parametrize("status", [301, 400, 404, 503])
def test_nothing_but_success_is_acceptance(
    prepaid: CommandLine, spent: Service, endpoint: Receiver, status: int
) -> None:
    endpoint.answer = answers(status)

    prepaid(*of_account(endpoint), "--after", "3", "--no-follow")

    assert [delivery.path for delivery in endpoint.received] == ["/hooks"] * 2


def test_an_endpoint_that_is_down_gets_its_events_when_it_is_up(prepaid: CommandLine, spent: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"

    with running(prepaid, "--forward-to", address, "--account", "acme", "--after", "3") as program:
        assert program.stdout
        text = ""
        while text.count("no answer (ConnectError); again in") < 2:
            text += program.stdout.readline()
        with receiver(int(address.partition(":")[2])) as late:
            wait_for(lambda: len(late.received) == 1)
        stop(program)

    assert f"http://{address}" in text
    assert "again in 2 s" in text


def test_a_position_outlives_the_program(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    """Killed in the middle of a page: what was accepted isn't sent again."""
    endpoint.answer = answers(204, 204, *[500] * 100)
    with running(prepaid, *of_account(endpoint)[2:], "--after", "0"):
        wait_for(lambda: len(endpoint.received) >= 3)
    endpoint.received.clear()
    endpoint.answer = answers()

    prepaid(*of_account(endpoint), "--no-follow")
    spent.spend(1, key="later")
    prepaid(*of_account(endpoint), "--no-follow")

    numbers = [json.loads(delivery.body)["data"]["entry"] for delivery in endpoint.received]
    assert numbers == [3, 3, 4, 5]


def test_ctrl_c_leaves_and_the_next_start_continues(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    with running(prepaid, *of_account(endpoint)[2:], "--after", "0", "--json") as program:
        assert program.stdout
        for _ in range(6):
            program.stdout.readline()
        spent.spend(1, key="later")
        program.stdout.readline()
        # The position is written after the line.
        [file] = prepaid.profile.parent.glob("listen-*.json")
        wait_for(lambda: json.loads(file.read_text())["after"] == "5")
        stderr = stop(program)

    prepaid(*of_account(endpoint), "--no-follow")

    assert (program.returncode, stderr) == (0, "")
    assert len(endpoint.received) == 6


def test_an_endpoint_that_wants_no_more_ends_it(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    endpoint.answer = answers(204, 410)

    done = prepaid(*of_account(endpoint), "--after", "0", exits=1)

    assert done.stderr == "prepaid: the endpoint returned 410: it receives no more events\n"
    assert len(endpoint.received) == 2


def test_a_first_start_begins_now(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    prepaid(*of_account(endpoint), "--no-follow")
    spent.spend(1, key="later")

    prepaid(*of_account(endpoint), "--no-follow")

    assert [json.loads(delivery.body)["data"]["entry"] for delivery in endpoint.received] == [5]


def test_a_position_of_a_longer_ledger_begins_now(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    """A local stack that was started again has a shorter one."""
    prepaid(*of_account(endpoint), "--no-follow")
    [file] = prepaid.profile.parent.glob("listen-*.json")
    file.write_text(json.dumps({**json.loads(file.read_text()), "after": "400"}))
    prepaid(*of_account(endpoint), "--no-follow")
    spent.spend(1, key="later")

    prepaid(*of_account(endpoint), "--no-follow")

    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    "address", ["ftp://localhost/", "http://", "http://user:@localhost/", "http://user@localhost/", ""]
)
def test_an_address_that_is_none_is_told(prepaid: CommandLine, spent: Service, address: str) -> None:
    done = prepaid("events", "listen", "--forward-to", address, "--account", "acme", exits=2)

    assert done.stderr.startswith("prepaid: --forward-to")
    assert "user@" not in done.stderr


def test_a_position_that_is_refused_is_not_kept(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    for where in (("--account", "acme", "--after", "99"), ("--after", "nonsense")):
        done = prepaid("events", "listen", "--forward-to", endpoint.url, *where, "--no-follow", exits=1)
        assert (done.stdout, "after: must be" in done.stderr) == ("", True)

    assert list(prepaid.profile.parent.glob("listen-*.json")) == []
    prepaid("events", "listen", "--forward-to", endpoint.url, "--no-follow")


def test_a_broken_position_is_told(prepaid: CommandLine, spent: Service, endpoint: Receiver) -> None:
    prepaid(*of_account(endpoint), "--no-follow")
    [file] = prepaid.profile.parent.glob("listen-*.json")
    file.write_text("{}")

    assert f"{file} is no position" in prepaid(*of_account(endpoint), "--no-follow", exits=2).stderr


def tries(url: str, followed: Any, count: int, seconds: float) -> list[Attempt]:
    with httpx.Client() as http:
        found: list[Attempt] = []
        for attempt in attempts(http, url, new_secret(), followed, seconds=seconds):
            found.append(attempt)
            if len(found) == count:
                break
        return found


@pytest.fixture
def followed(spent: Service, served: Served) -> Any:
    """One event, as the command follows it."""
    with served.client() as client:
        [page, *_] = follow(client, "acme", "3", wait=False, on_trouble=lambda _: None)
    return page.events[0]


def test_an_endpoint_that_hangs_is_tried_again(endpoint: Receiver, followed: Any) -> None:
    hangs = [True]
    endpoint.answer = lambda _: Answer(204, wait_seconds=1.0 if hangs and hangs.pop() else 0.0)

    first, second = tries(endpoint.url, followed, 2, 0.3)

    assert (first.status, first.detail, first.again_in) == (None, "no response within 0.3 s", 1.0)
    assert (second.status, second.again_in) == (204, None)


def test_an_endpoint_gets_the_time_it_asks_for(endpoint: Receiver, followed: Any) -> None:
    endpoint.answer = lambda _: Answer(503, {"retry-after": "60"})

    [only] = tries(endpoint.url, followed, 1, 5)

    assert only.again_in == 60.0


def test_the_example_receives_what_listen_sends(prepaid: CommandLine, spent: Service) -> None:
    example = Path(__file__).parents[2] / "clients/python/examples/receiver.py"
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = ("events", "listen", "--forward-to", url, "--account", "acme", "--no-follow")
    secret = prepaid.json(*command)["secret"]
    environment = {**os.environ, "PREPAID_WEBHOOK_SECRET": secret}

    arguments = [sys.executable, str(example), url.rpartition(":")[2]]
    with subprocess.Popen(arguments, env=environment, text=True, stdout=subprocess.PIPE) as program:
        assert program.stdout
        begun = program.stdout.readline()
        refused = httpx.post(url, content=b"{}", trust_env=False)
        for _ in range(2):
            prepaid(*command, "--after", "0")
        program.send_signal(signal.SIGINT)
        printed = program.stdout.read().splitlines()

    assert (begun, refused.status_code, program.returncode) == (f"receiving events at {url}\n", 400, 0)
    assert [line.split()[2] for line in printed[:-1]] == [event["type"] for event in spent(EVENTS).body["events"]]
