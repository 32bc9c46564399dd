"""Events out of the local cloud: `uv run python -m bench.events [--debits 200] [--accounts 10] [--rate 10]`.

Prints the delay from a debit's response to its event's arrival at a webhook, and the events a second of a backlog. The
emulator polls stream and queue at intervals of its own, so the delays are its own, too. bench/costs.py has the costs.
"""

import argparse
import json
import statistics
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from local.stack import Options, Stack, local_stack
from tests.support.receiver import Receiver, receiver

WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Api:
    """The stack's API."""

    stack: Stack

    def __call__(self, method: str, path: str, client: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.stack.addresses.api_url}/v1/accounts/{path}",
            data=json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": f"Bearer {self.stack.addresses.tokens[client]}",
                "Content-Type": "application/json",
                "Idempotency-Key": uuid4().hex,
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def main() -> None:
    """Start a stack with a webhook, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--debits", type=int, default=200)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--rate", type=float, default=10.0, help="debits a second while delays are measured")
    options = parser.parse_args()
    with ExitStack() as contexts:
        webhook = contexts.enter_context(receiver())
        overrides = {"WebhookTarget": webhook.url}
        stack = contexts.enter_context(
            local_stack(Options(name="bench-events", port=0, stripe_port=0, overrides=overrides))
        )
        api = Api(stack)
        accounts = [open_account(api, options.debits) for _ in range(options.accounts)]
        wait_until(webhook, accounts, entries=2)
        delays = measure_delays(api, webhook, accounts, options.debits, options.rate)
        print(f"delay of {len(delays)} events at {options.rate:g} debits a second:")
        print(f"  median {statistics.median(delays):.2f} s, p99 {percentile(delays, 0.99):.2f} s")
        speed = measure_backlog(api, webhook, accounts, options.debits)
        print(f"backlog of {options.debits} debits: {speed:.0f} events/s")


def open_account(api: Api, credits: int) -> str:
    """An account with credits for every debit. Returns its id."""
    account = f"bench-{uuid4().hex[:12]}"
    api("PUT", account, "admin", {"name": account, "plan": "none"})
    api("POST", f"{account}/grants", "admin", {"credits": 10 * credits, "kind": "promotion", "reason": "bench"})
    return account


def spend(api: Api, account: str) -> tuple[tuple[str, int], float]:
    """The account and number of a debit's entry, and when its response came."""
    spent = api("POST", f"{account}/consumptions", "service", {"feature": "sticker", "quantity": 1})
    return (account, int(spent["id"].rpartition("_")[2])), time.monotonic()


def arrivals(webhook: Receiver) -> dict[tuple[str, int], float]:
    """When each entry's own event came first."""
    found: dict[tuple[str, int], float] = {}
    for got in list(webhook.received):
        event = json.loads(got.body)
        if event["type"].startswith("prepaid.entry."):
            found.setdefault((event["subject"], event["data"]["entry"]), got.at)
    return found


def wait_for(webhook: Receiver, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], float]:
    """The arrivals once all wanted events are there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not wanted <= (found := arrivals(webhook)).keys():
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(wanted - found.keys())} events did not arrive")
        time.sleep(0.2)
    return found


def wait_until(webhook: Receiver, accounts: list[str], entries: int) -> None:
    """Wait for the first entries of each account, so that every function has started once."""
    wait_for(webhook, {(account, entry) for account in accounts for entry in range(1, entries + 1)})


def measure_delays(api: Api, webhook: Receiver, accounts: list[str], debits: int, rate: float) -> list[float]:
    """Seconds from each response to its event's arrival."""
    with ThreadPoolExecutor(8) as pool:
        futures = []
        for number in range(debits):
            futures.append(pool.submit(spend, api, accounts[number % len(accounts)]))
            time.sleep(1 / rate)
        answered = dict(future.result() for future in futures)
    found = wait_for(webhook, set(answered))
    return [max(0.0, found[entry] - at) for entry, at in answered.items()]


def measure_backlog(api: Api, webhook: Receiver, accounts: list[str], debits: int) -> float:
    """Events a second from the first to the last arrival, of debits that come as fast as the API takes them."""
    with ThreadPoolExecutor(16) as pool:
        answered = dict(pool.map(lambda number: spend(api, accounts[number % len(accounts)]), range(debits)))
    found = wait_for(webhook, set(answered))
    times = sorted(found[entry] for entry in answered)
    return (len(times) - 1) / (times[-1] - times[0])


def percentile(values: list[float], share: float) -> float:
    """The smallest value that is not below this share of them."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    main()
