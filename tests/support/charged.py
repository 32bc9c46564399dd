"""A charged function for the tests of `charge`: run once, by the sync or the asyncio client."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prepaid_client import AsyncPrepaid, Prepaid
from tests.support.bridge import token
from tests.support.failing_line import FailingLine
from tests.support.gateway_events import ANYBODY
from tests.support.served import Served


@dataclass(frozen=True)
class Job:
    id: str = "4711"
    stickers: int = 3
    shop: str = "acme"


TERMS: dict[str, Any] = {
    "account": lambda job: job.shop,
    "key": lambda job: f"sticker-{job.id}",
    "quantity": lambda job: job.stickers,
    "reference": lambda job: job.id,
    "ttl_seconds": 60,
}


def run(
    shop: Served,
    kind: str,
    function: Callable[[Job], Any],
    job: Job | None = None,
    *,
    line: FailingLine | None = None,
    deadline: float = 20.0,
) -> Any:
    """Charge one run of the function."""
    job = job or Job()
    options: dict[str, Any] = {"deadline": deadline, "transport": line or FailingLine()}
    if kind == "sync":
        with Prepaid(shop.url, token(ANYBODY), **options) as client:
            return client.charge("sticker", **TERMS)(function)(job)

    async def main() -> Any:
        async with AsyncPrepaid(shop.url, token(ANYBODY), **options) as async_client:

            @async_client.charge("sticker", **TERMS)
            async def charged(job: Job) -> Any:
                await asyncio.sleep(0)
                return function(job)

            return await charged(job)

    return asyncio.run(main())


def credits_of(shop: Served) -> tuple[int, int]:
    """Available and held."""
    found = shop.service.balance()["credits"]
    return found["available"], found["held"]


def charges(shop: Served) -> list[str]:
    """The types of the entries that charged something."""
    return [entry["type"] for entry in shop.service.history() if entry["type"] in {"capture", "consumption"}]
