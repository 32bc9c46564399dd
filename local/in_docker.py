"""`sam local` next to a running `make run`: builds for this machine's containers and forwards their connections.

`make run` listens on loopback only, and `sam local` keeps its containers outside the host's network, even with
`--docker-network host`. Docker Desktop's containers can reach loopback as host.docker.internal. On Linux that name is
the bridge's gateway, so this program forwards the gateway's ports to loopback, but only while it runs: any client of
the local cloud can run code on this machine.
"""

import asyncio
import contextlib
import errno
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

from local import sam
from local.build import architecture
from local.processes import HOST, ROOT, STATE, LocalStackError, finish, own_environment

# The ports in events/env.json: of the cloud and of the payment provider.
PORTS = (4566, 12111)
WORK = STATE / "in_docker"

type Visitor = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def gateway() -> str:
    """This machine's address in Docker's default network."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{json (index .IPAM.Config 0)}}"]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise LocalStackError("Docker doesn't respond, and sam local needs it") from error
    network: dict[str, str] = json.loads(completed.stdout)
    return network.get("Gateway") or str(next(ipaddress.ip_network(network["Subnet"]).hosts()))


@contextlib.asynccontextmanager
async def door(address: str, ports: Iterable[tuple[int, int]]) -> AsyncIterator[None]:
    """Forward ports of `address` to loopback: (outside, inside). Does nothing if the address isn't this machine's."""
    async with contextlib.AsyncExitStack() as servers:
        for outside, inside in ports:
            try:
                listener = socket.create_server((address, outside))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    break
                raise LocalStackError(f"port {outside} of {address} is in use") from error
            server = await asyncio.start_server(_visitor(inside), sock=listener)
            servers.callback(server.close)
        yield


def _visitor(port: int) -> Visitor:
    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            answers, requests = await asyncio.open_connection(HOST, port)
            with contextlib.closing(requests):
                await asyncio.gather(_pass_on(reader, requests), _pass_on(answers, writer))

    return visit


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65_536):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def _run(command: list[str], env: dict[str, str]) -> int:
    async with door(gateway(), ((port, port) for port in PORTS)):
        program = await asyncio.create_subprocess_exec(*command, env=env, cwd=ROOT)
        try:
            return await program.wait()
        except asyncio.CancelledError:
            # Ctrl-C also reached SAM, which has containers to stop.
            await program.wait()
            raise


async def _require_stack() -> None:
    for port in PORTS:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError as error:
            raise LocalStackError(f"nothing listens on port {port}; start `make run` first") from error
        writer.close()


def main() -> int:
    """Build, and run `sam local` with this program's arguments. Returns the exit code."""
    asyncio.run(_require_stack())
    sam_variables = {name: value for name, value in os.environ.items() if name.startswith("SAM_")}
    env = {**sam.environment(own_environment()), **sam_variables, "ARCHITECTURE": architecture()}
    # The local cloud knows only these keys, and must not receive the user's own.
    env |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    template = ["--template-file", str(ROOT / "template.yaml")]
    folders = ["--build-dir", str(WORK / "build"), "--cache-dir", str(WORK / "cache")]
    parameters = ["--parameter-overrides", f"Architecture={architecture()}"]
    build = sam.command("build", "--cached", *template, *folders, *parameters)
    finish("building the functions", build, env, STATE / "log" / "in_docker.log")
    template = ["--template", str(WORK / "build" / "template.yaml"), "--config-file", str(ROOT / "samconfig.toml")]
    return asyncio.run(_run(sam.command("local", *sys.argv[1:], *template, *parameters), env))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LocalStackError as error:
        sys.exit(f"sam local: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
