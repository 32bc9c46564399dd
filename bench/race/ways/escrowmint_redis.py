"""escrowmint: one counter in Redis, without lots and without a ledger. It forgets a key after a day."""

from typing import Any

from escrowmint import Client  # type: ignore[import-not-found]

CREDITS = 1_000_000


def prepare(where: str) -> str:
    """Create nothing."""
    return where


class Caller:
    """One connection."""

    def __init__(self, where: str) -> None:
        self._client: Any = Client.from_url(where)

    def open(self, account: str) -> None:
        """Create an account with credits to spend."""
        self._client.top_up(account, CREDITS, idempotency_key="topup")

    def debit(self, account: str, key: str) -> None:
        """Take one credit."""
        self._client.try_consume(account, 1, idempotency_key=key)

    def spent(self, account: str) -> int:
        """The credits taken so far."""
        return CREDITS - int(self._client.get_state(account).available)
