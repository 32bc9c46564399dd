"""The forwarder through which containers reach a local stack: it listens only while sam runs."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from local.in_docker import door
from local.processes import HOST, LocalStackError, free_port


@contextmanager
def echo() -> Iterator[int]:
    """A program that responds to one caller with its text in capitals, once the caller has sent all."""

    def answer() -> None:
        with server.accept()[0] as visitor:
            received = b""
            while some := visitor.recv(65_536):
                received += some
            visitor.sendall(received.upper())

    with socket.create_server((HOST, 0)) as server:
        thread = Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


async def ask(port: int, question: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(question)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def test_data_arrives_in_both_directions() -> None:
    async def visit() -> bytes:
        async with door(HOST, [(outside, inside)]):
            return await asyncio.wait_for(ask(outside, b"a" * 1_000_000), 10)

    outside = free_port()
    with echo() as inside:
        assert asyncio.run(visit()) == b"A" * 1_000_000


def test_a_closed_port_inside_closes_the_connection() -> None:
    async def visit() -> bytes:
        async with door(HOST, [(outside, inside)]):
            return await asyncio.wait_for(ask(outside, b""), 10)

    outside, inside = free_port(), free_port()
    assert asyncio.run(visit()) == b""


def test_the_forwarder_is_closed_afterwards() -> None:
    async def visit() -> None:
        async with door(HOST, [(outside, inside)]):
            pass
        await ask(outside, b"")

    outside, inside = free_port(), free_port()
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(visit())


def test_a_remote_address_needs_no_forwarder() -> None:
    """Docker Desktop's bridge is inside its own virtual machine. 192.0.2.1 is reserved for documentation."""

    async def stay() -> str:
        async with door("192.0.2.1", [(free_port(), free_port())]):
            return "inside"

    assert asyncio.run(stay()) == "inside"


def test_a_port_in_use_is_named() -> None:
    async def stay() -> None:
        async with door(HOST, [(taken, taken)]):
            pass

    with socket.create_server((HOST, 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(LocalStackError, match=f"port {taken}"):
            asyncio.run(stay())
