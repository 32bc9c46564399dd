"""Versions of the service, each in a process of its own at one table, as during a deployment."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.api import CLIENTS, Answer, Api, Request
from tests.support.gateway_events import Event, http_event
from tests.support.template import functions_by_route

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("version_worker.py")
FUNCTION_OF = functions_by_route()
ALL_THE_TIME = 1_000_000


def unpacked(archived: Path, folder: Path) -> Path:
    """The layer and the functions of a version, in the folder. archived: by `git archive`.

    Not from git's history, which a shallow clone or an archive of the project lacks.
    """
    with tarfile.open(archived) as archive:
        archive.extractall(folder, filter="data")
    return folder


@dataclass(kw_only=True)
class Version(Api):
    """A client that reaches one version only. account: the one that its requests are about."""

    process: "subprocess.Popen[str]"
    account: str = "acme"

    def __call__(self, route: str, account: str | None = "acme", **request: Any) -> Answer:
        return super().__call__(route, self.account if account == "acme" else account, **request)

    def ask(self, request: Request) -> Answer:
        event = http_event(
            request.route,
            path=request.path,
            query=request.query,
            headers=request.headers,
            claims=CLIENTS[request.by] if isinstance(request.by, str) else request.by,
            body=request.body,
        )
        return self.send(event)

    def send(self, event: Event) -> Answer:
        response = self.call(FUNCTION_OF[event["routeKey"]], event)
        text = response.get("body", "")
        headers = {name.lower(): value for name, value in response["headers"].items()}
        body = json.loads(text) if "json" in headers.get("content-type", "") else text
        return Answer(response["statusCode"], headers, body, text)

    def call(self, function: str, event: Any) -> dict[str, Any]:
        """What a function's handler returns."""
        result = self.interrupt(function, event, asks=ALL_THE_TIME)
        assert "raised" not in result, f"{function} raises {result['raised']}"
        return result

    def interrupt(self, function: str, event: Any, *, asks: int) -> dict[str, Any]:
        """What a handler returns or raises that has no time left after it has asked so often."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"function": function, "event": event, "asks": asks}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, f"{function} ended its process"
        result: dict[str, Any] = json.loads(line)
        return result


@contextmanager
def running(tree: Path, environment: Mapping[str, str]) -> Iterator[Version]:
    """The version in this tree, for the length of a with block. environment: what its functions are deployed with."""
    env = {**os.environ, **environment, "PYTHONPATH": str(tree / "layers" / "prepaid")}
    # -P: without it, this folder's modules could be taken for packages of the same name.
    command = [sys.executable, "-P", str(WORKER), str(tree)]
    with subprocess.Popen(
        command, env=env, cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Version(process=process)
        assert process.stdin
        process.stdin.close()
