"""The webhook: one HTTP request to the platform's own address."""

from collections.abc import Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

import urllib3

# Standard Webhooks recommends 15 to 30 seconds; a receiver that stores the event first needs far less.
SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """status: of the receiver's response; 0 when there was none. retry_after: the header's text, or ""."""

    status: int
    retry_after: str = ""


def post(target: str, body: str, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Reply:
    """Send one event. Follows no redirect, retries nothing, and doesn't read the response's body. Raises nothing."""
    replies: SimpleQueue[Reply] = SimpleQueue()
    # A socket's time-out is for each read, so a receiver that sends a byte now and then would never be late.
    sending = Thread(target=lambda: replies.put(_send(target, body, headers, seconds)), daemon=True)
    sending.start()
    try:
        return replies.get(timeout=seconds)
    except Empty:
        return Reply(0)


def _send(target: str, body: str, headers: Mapping[str, str], seconds: float) -> Reply:
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=seconds))
    try:
        response = pool.request(
            "POST",
            target,
            body=body.encode(),
            headers={"content-type": "application/json", "user-agent": "Prepaid-Webhook/1", **headers},
            redirect=False,
            preload_content=False,
        )
        reply = Reply(response.status, response.headers.get("retry-after", ""))
        response.close()
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        # No connection, no response in time, or no HTTP. What the receiver sent belongs in no log.
        return Reply(0)
    finally:
        pool.clear()
    return reply
