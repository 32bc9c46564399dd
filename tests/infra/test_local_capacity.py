"""The local cloud's capacity: many calls at once, in few processes and little disk space, and a stop within seconds."""

import io
import json
import subprocess
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.adapted_ministack import FUNCTION_PROCESSES, queue_calls, unpacked
from local.cloud import CALLS_AT_ONCE, LAYERS, REGION, Cloud, emulator

FUNCTIONS = 6
LAYER_FILES = 500
# It takes two seconds on an idle machine.
STOP_SECONDS = 15
# It takes long enough that calls overlap.
HANDLER = """
import os, time, shared
def handler(event, context):
    time.sleep(0.1)
    return {"process": os.getpid(), "layer": os.path.realpath(shared.__file__), "home": os.environ["TMPDIR"]}
"""


def zipped(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return packed.getvalue()


LAYER = zipped({"python/shared.py": ""} | {f"python/data/{number}": "x" for number in range(LAYER_FILES)})


@dataclass(frozen=True, slots=True)
class Crowd:
    """A cloud with functions that have been called many times at once."""

    cloud: Cloud
    answers: list[dict[str, Any]]

    def group(self) -> list[int]:
        """The ids of the emulator's process and of its functions' processes."""
        listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid=,pgid="], capture_output=True, check=True, text=True)
        rows = [[int(number) for number in line.split()] for line in listed.stdout.splitlines()]
        [emulator_group] = [group for _, parent, group in rows if parent == self.cloud.program.supervisor.pid]
        return [process for process, _, group in rows if group == emulator_group]


def called(cloud: Cloud, functions: int) -> Crowd:
    """Thirty calls at once of one function, then all functions in turn, twelve at once."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
    aws: Any = session.client("lambda", endpoint_url=cloud.url, config=Config(max_pool_connections=30))
    layer = aws.publish_layer_version(LayerName="shared", Content={"ZipFile": LAYER})["LayerVersionArn"]
    names = [f"function-{number}" for number in range(functions)]
    for name in names:
        aws.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role="arn:aws:iam::000000000000:role/any",
            Handler="app.handler",
            Code={"ZipFile": zipped({"app.py": HANDLER})},
            Layers=[layer],
            Timeout=20,
        )

    def call(name: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.load(aws.invoke(FunctionName=name)["Payload"])
        return answer | {"function": name}

    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(call, names[:1] * 30))
    with ThreadPoolExecutor(12) as pool:
        answers += pool.map(call, names * 12)
    return Crowd(cloud, answers)


@pytest.fixture(scope="module")
def crowd() -> Iterator[Crowd]:
    with emulator("tests-capacity") as cloud:
        yield called(cloud, FUNCTIONS)


@pytest.mark.xdist_group("capacity")
def test_thirty_calls_at_once_are_answered_by_few_processes(crowd: Crowd) -> None:
    first = [answer["process"] for answer in crowd.answers[:30]]

    assert 1 < len(set(first)) <= FUNCTION_PROCESSES


@pytest.mark.xdist_group("capacity")
def test_all_functions_together_stay_below_the_limit(crowd: Crowd) -> None:
    assert Counter(answer["function"] for answer in crowd.answers[30:]) == dict.fromkeys(
        (f"function-{number}" for number in range(FUNCTIONS)), 12
    )
    # The emulator itself is one more.
    assert len(crowd.group()) <= CALLS_AT_ONCE + 1


@pytest.mark.xdist_group("capacity")
def test_processes_share_one_unpacked_layer(crowd: Crowd) -> None:
    [module] = {Path(answer["layer"]) for answer in crowd.answers}
    [scratch] = {Path(answer["home"]) for answer in crowd.answers}

    assert module.is_relative_to(LAYERS)
    assert len(list((module.parent / "data").iterdir())) == LAYER_FILES
    # Far fewer than one layer's, however many processes there are.
    assert len(list(scratch.rglob("*"))) < LAYER_FILES


def test_a_cloud_in_use_ends_in_seconds_and_leaves_nothing() -> None:
    with emulator("tests-capacity-end") as cloud:
        crowd = called(cloud, functions=2)
        processes, scratch = crowd.group(), cloud.program.scratch
        began = time.monotonic()

    assert time.monotonic() - began < STOP_SECONDS
    assert len(processes) > FUNCTION_PROCESSES
    left = subprocess.run(["ps", "-e", "-o", "pid=,stat="], capture_output=True, check=True, text=True).stdout
    assert {int(line.split()[0]) for line in left.splitlines() if "Z" not in line.split()[1]}.isdisjoint(processes)
    assert not scratch.exists()


def lambdas(**functions: Any) -> SimpleNamespace:
    """MiniStack's functions. No process is free before one is given back."""
    free: list[str] = []
    return SimpleNamespace(
        _functions=functions,
        _acquire_execution_slot=lambda function, config: (free[0], None) if free else (None, "function"),
        _release_execution_slot=free.append,
    )


def test_a_call_that_waited_too_long_is_throttled() -> None:
    services = lambdas()

    queue_calls(services, seconds=0.05)

    assert services._acquire_execution_slot({}, {}) == (None, "function")


def test_a_call_of_a_stopped_function_does_not_wait() -> None:
    services = lambdas(stopped={"concurrency": 0})
    queue_calls(services, seconds=60)
    began = time.monotonic()

    # A version's own record, behind an alias.
    assert services._acquire_execution_slot({}, {"FunctionName": "stopped"}) == (None, "function")
    assert time.monotonic() - began < 30


def test_a_waiting_call_gets_the_process_that_becomes_free() -> None:
    services = lambdas()
    queue_calls(services, seconds=20)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(services._acquire_execution_slot, {}, {})
        services._release_execution_slot("slot")

        assert waiting.result(5) == ("slot", None)


def test_a_layer_is_unpacked_once(tmp_path: Path) -> None:
    first = unpacked(LAYER, tmp_path)
    (first / "mark").touch()

    assert unpacked(LAYER, tmp_path) == first
    assert (first / "mark").exists()
    assert unpacked(zipped({"python/shared.py": "other = 1"}), tmp_path) != first
