"""A shell in which an operator runs a document's commands against the local cloud.

`aws` is a small program that sends its arguments to this process, which reads them as botocore describes the operation
and calls the emulator. The AWS CLI itself is no dependency of the project, and takes half a second a call.
"""

import json
import os
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from local.cloud import Cloud
from local.deploy import client
from local.processes import HOST, ROOT
from tests.support.aws_commands import operations, options, parameters

AWS = f"""#!{sys.executable} -IS
import json, socket, sys
with socket.create_connection(("{HOST}", PORT)) as line:
    line.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    code, text = json.load(line.makefile())
print(text, end="")
sys.exit(code)
"""
END = "--- the end of these commands ---"


@dataclass
class OperatorsShell:
    """One bash for all commands, which ends at the first that fails.

    earlier: by table, the copy of its rows to which a restore goes back. The emulator restores what a table holds now.
    """

    cloud: Cloud
    bash: "subprocess.Popen[str]"
    earlier: dict[str, str] = field(default_factory=dict)

    def run(self, *commands: str) -> str:
        """What these commands print. Raises AssertionError if one of them fails."""
        stdin, stdout = _open(self.bash.stdin), _open(self.bash.stdout)
        stdin.write("\n".join([*commands, f"echo '{END}'", ""]))
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            # A command may leave its last line open.
            if line.endswith(f"{END}\n"):
                return "".join(lines) + line.removesuffix(f"{END}\n")
            lines.append(line)
        raise AssertionError(f"{commands} failed: {''.join(lines)}")

    def call(self, command: list[str]) -> str:
        """What the AWS CLI prints for a command line."""
        service, name, *words = command
        aws = client(self.cloud, service)
        if name == "wait":
            given = parameters(operations(service)[WAITERS[words[0]]], words[1:])
            aws.get_waiter(xform_name(words[0].title().replace("-", ""))).wait(**given, WaiterConfig={"Delay": 1})
            return ""
        operation = operations(service)[name]
        given = parameters(operation, words)
        if name == "restore-table-to-point-in-time":
            given = {**given, "SourceTableName": self.earlier[given["SourceTableName"]]}
        method = xform_name(operation.name)
        # The CLI reads every page of a list.
        pages = aws.can_paginate(method)
        answer = (
            aws.get_paginator(method).paginate(**given).build_full_result() if pages else getattr(aws, method)(**given)
        )
        if operation.get_streaming_output() is not None:
            return str(answer["Payload"].read().decode())
        chosen = options(words)[0]
        found = jmespath.search(chosen["query"][0], answer) if "query" in chosen else answer
        return as_text(found) + "\n" if chosen.get("output") == ["text"] else json.dumps(found, default=str) + "\n"


WAITERS = {"table-exists": "describe-table", "stack-delete-complete": "describe-stacks"}


def as_text(found: Any) -> str:
    """A result with --output text: a list of values is one line with tabs."""
    return "\t".join(map(as_text, found)) if isinstance(found, list) else str(found)


@contextmanager
def operators_shell(cloud: Cloud, folder: Path) -> Iterator[OperatorsShell]:
    """A shell for the duration of a with block. folder: for the program `aws`."""

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                answer = 0, shell.call(json.loads(self.rfile.readline()))
            except (ClientError, BotoCoreError, AssertionError, KeyError) as error:
                answer = 254, f"{type(error).__name__}: {error}\n"
            self.wfile.write(json.dumps(answer).encode())

    with socketserver.ThreadingTCPServer((HOST, 0), Line) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        program = folder / "aws"
        program.write_text(AWS.replace("PORT", str(server.server_address[1])))
        program.chmod(0o755)
        env = {**os.environ, **cloud.environment(), "PATH": f"{folder}:{os.environ['PATH']}"}
        with subprocess.Popen(
            ["bash", "-eu", "-o", "pipefail"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=env,
        ) as bash:
            shell = OperatorsShell(cloud, bash)
            try:
                yield shell
            finally:
                server.shutdown()


def _open(stream: IO[str] | None) -> IO[str]:
    assert stream
    return stream
