"""Signs and delivers events at least once, with retries, and with the disturbances that the controls set."""

import contextlib
import hashlib
import heapq
import hmac
import http.client
import json
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from fake_stripe.errors import Json

KEPT_ATTEMPTS = 2_000
KEPT_OUTCOMES = 20_000
MAX_WAITING = 20_000
MAX_ANSWER = 500
MAX_DRAIN = 60.0


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Stripe's v1 scheme: HMAC-SHA256 over "timestamp.body"."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


@dataclass
class Settings:
    """The settings of deliveries; `POST /_control/webhooks` takes these names."""

    url: str = ""
    secret: str = "whsec_fake"  # noqa: S105 (signs nothing real)
    previous_secret: str = ""
    sign_with: str = "current"
    running: bool = True
    concurrency: int = 1
    delay_seconds: float = 0.0
    timestamp_offset_seconds: int = 0
    retry_seconds: list[float] = field(default_factory=lambda: [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0])
    timeout_seconds: float = 10.0
    duplicate_next: int = 0
    copies: int = 1
    lose_next: int = 0
    hold_next: int = 0


def checked_url(url: str) -> str:
    """Return `url`; "" means that no events are sent. Raises ValueError for anything but a web address."""
    if url and not re.fullmatch(r"https?://[^\s@/]+(/\S*)?", url, re.ASCII):
        raise ValueError("The webhook URL must be http:// or https://")
    return url


@dataclass
class Delivery:
    event: str
    kind: str
    body: bytes
    attempt: int = 0


class Webhooks:
    """`changed` guards every field below it; the dispatcher starts one thread per attempt."""

    def __init__(self, settings: Settings, wall_clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._wall_clock = wall_clock
        self.changed = threading.Condition()
        self._queue: list[tuple[float, int, Delivery]] = []
        self._held: list[Delivery] = []
        self._in_flight = 0
        self._count = 0
        self._closed = False
        self._attempts: deque[Json] = deque(maxlen=KEPT_ATTEMPTS)
        self._outcomes: dict[str, str] = {}
        self._thread = threading.Thread(target=self._dispatch, name="webhooks", daemon=True)
        self._thread.start()

    # For the rest of the fake

    def announce(self, event: Json) -> None:
        """Queue a new event, or lose, hold or duplicate it, as the settings say."""
        body = json.dumps(event | {"pending_webhooks": 1}, indent=2, ensure_ascii=False).encode()
        with self.changed:
            settings = self.settings
            if not settings.url:
                return
            delivery = Delivery(event["id"], event["type"], body)
            if settings.lose_next > 0:
                settings.lose_next -= 1
                self._note(delivery, "lost")
                return
            copies = 1
            if settings.duplicate_next > 0:
                settings.duplicate_next -= 1
                copies += settings.copies
            self._outcomes[delivery.event] = "pending"
            for _ in range(copies):
                self._take(replace(delivery))
            if settings.hold_next > 0:
                settings.hold_next -= 1
                if settings.hold_next == 0:
                    self.release()

    def redeliver(self, event: Json) -> None:
        with self.changed:
            body = json.dumps(event | {"pending_webhooks": 1}, indent=2, ensure_ascii=False).encode()
            self._push(Delivery(event["id"], event["type"], body), 0)

    def release(self) -> None:
        """Send the held events in reverse order."""
        with self.changed:
            held, self._held = self._held, []
            self.settings.hold_next = 0
            for delivery in reversed(held):
                self._push(delivery, self.settings.delay_seconds)

    def discard(self) -> int:
        """Drop all queued and held events, as if the endpoint had been down until Stripe gave up."""
        with self.changed:
            waiting = [delivery for _, _, delivery in sorted(self._queue)] + self._held
            self._queue, self._held = [], []
            for delivery in waiting:
                self._note(delivery, "lost")
            self.changed.notify_all()
            return len(waiting)

    def send_raw(self, body: bytes, content_type: str = "application/json") -> Json:
        """Send any bytes once, signed as the settings say. Returns the endpoint's response."""
        return self._post(body, content_type)

    def rotate(self, secret: str = "") -> None:
        with self.changed:
            self.settings.previous_secret = self.settings.secret
            self.settings.secret = secret or f"whsec_{secrets.token_hex(16)}"

    def drain(self, timeout: float) -> Json:
        """Wait until no event is queued or in flight. It doesn't wait for stopped or held events."""

        def done() -> bool:
            return not self._in_flight and (not self._queue or not self.settings.running)

        with self.changed:
            self.changed.wait_for(done, min(max(timeout, 0.0), MAX_DRAIN))
            remaining = {"queued": len(self._queue), "held": len(self._held), "in_flight": self._in_flight}
        return {"drained": not any(remaining.values()), **remaining}

    def undelivered(self, event_id: str) -> bool:
        with self.changed:
            return self._outcomes.get(event_id, "delivered") != "delivered"

    def attempts(self) -> list[Json]:
        with self.changed:
            return [dict(attempt) for attempt in self._attempts]

    def clear(self) -> None:
        with self.changed:
            self._queue, self._held = [], []
            self._attempts.clear()
            self._outcomes.clear()

    @contextlib.contextmanager
    def changing(self) -> Iterator[Settings]:
        """Change settings, then wake the dispatcher."""
        with self.changed:
            yield self.settings
            self.changed.notify_all()

    def close(self) -> None:
        with self.changed:
            self._closed = True
            self.changed.notify_all()
        self._thread.join(timeout=2)

    # The queue and the dispatcher

    def _take(self, delivery: Delivery) -> None:
        if self.settings.hold_next > 0:
            self._held.append(delivery)
        else:
            self._push(delivery, self.settings.delay_seconds)

    def _push(self, delivery: Delivery, delay: float) -> None:
        if len(self._queue) >= MAX_WAITING:
            self._note(delivery, "lost")
            return
        self._count += 1
        heapq.heappush(self._queue, (time.monotonic() + delay, self._count, delivery))
        self.changed.notify_all()

    def _dispatch(self) -> None:
        with self.changed:
            while not self._closed:
                wait = self._seconds_to_next()
                if wait is None or wait > 0:
                    self.changed.wait(wait)
                    continue
                delivery = heapq.heappop(self._queue)[2]
                self._in_flight += 1
                threading.Thread(target=self._attempt, args=(delivery,), daemon=True).start()

    def _seconds_to_next(self) -> float | None:
        """Seconds until the next delivery is due; None while there is nothing to send."""
        if not self._queue or not self.settings.running or self._in_flight >= self.settings.concurrency:
            return None
        return self._queue[0][0] - time.monotonic()

    def _attempt(self, delivery: Delivery) -> None:
        response = self._post(delivery.body, "application/json; charset=utf-8")
        with self.changed:
            delivery.attempt += 1
            schedule = self.settings.retry_seconds
            accepted = 200 <= (response["status"] or 0) < 300  # noqa: PLR2004
            if accepted:
                outcome = "delivered"
            elif delivery.attempt <= len(schedule):
                outcome = "failed"
                self._push(delivery, schedule[delivery.attempt - 1])
            else:
                outcome = "gave_up"
            self._note(delivery, outcome, response)
            self._in_flight -= 1
            self.changed.notify_all()

    def _note(self, delivery: Delivery, outcome: str, response: Json | None = None) -> None:
        self._outcomes[delivery.event] = outcome
        if len(self._outcomes) > KEPT_OUTCOMES:
            del self._outcomes[next(iter(self._outcomes))]
        fields = response or {"status": None, "answer": "", "error": "", "milliseconds": 0, "signature": ""}
        self._attempts.append(
            {
                "event": delivery.event, "type": delivery.kind, "attempt": delivery.attempt, "outcome": outcome,
                "at": int(self._wall_clock()), **fields,
            }
        )  # fmt: skip

    # A single attempt

    def _post(self, body: bytes, content_type: str) -> Json:
        with self.changed:
            settings = replace(self.settings)
        signature = self._signature(settings, body)
        headers = {"Content-Type": content_type, "User-Agent": "Stripe/1.0 (local fake)"}
        if signature:
            headers["Stripe-Signature"] = signature
        started = time.monotonic()
        status, answer, failure = None, "", ""
        try:
            status, answer = _exchange(settings.url, body, headers, settings.timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            failure = f"{type(error).__name__}: {error}"
        milliseconds = int((time.monotonic() - started) * 1000)
        return {
            "status": status, "answer": answer, "error": failure, "milliseconds": milliseconds, "signature": signature
        }  # fmt: skip

    def _signature(self, settings: Settings, body: bytes) -> str:
        timestamp = int(self._wall_clock()) + settings.timestamp_offset_seconds
        signing_secrets = {
            "current": [settings.secret],
            "previous": [settings.previous_secret],
            "both": [settings.secret, settings.previous_secret],
            "other": ["whsec_somebody_else"],
            "none": [],
        }[settings.sign_with]
        if not signing_secrets:
            return ""
        return ",".join([f"t={timestamp}", *(f"v1={sign(body, secret, timestamp)}" for secret in signing_secrets)])


def _exchange(url: str, body: bytes, headers: dict[str, str], timeout: float) -> tuple[int, str]:
    """POST without following redirects: as at Stripe, a status other than 2xx is a failed delivery."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", parts._replace(scheme="", netloc="").geturl() or "/", body, headers)
        response = connection.getresponse()
        return response.status, response.read(MAX_ANSWER).decode("utf-8", "replace")
    finally:
        connection.close()
