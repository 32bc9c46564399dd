"""The clients: Prepaid for threads, AsyncPrepaid for asyncio, and the accounts that they open.

Both have the methods of the classes AccountMethods and ServiceMethods, whose names are the operations of openapi.json.
"""

import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self, Unpack

import httpx

from prepaid_client import calls
from prepaid_client.binding import Listing, Operation, ServiceListing, ServiceOperation
from prepaid_client.calls import Texts
from prepaid_client.charging import AsyncDecorator, Choice, Decorator, Price, charged, charged_async
from prepaid_client.errors import Refused
from prepaid_client.holding import Work, give_back, reserve
from prepaid_client.responses import Capture, PlacedHold
from prepaid_client.sending import Service
from prepaid_client.tokens import ClientCredentials
from prepaid_client.transports import AsyncTransport, SyncTransport

DEADLINE_SECONDS = 30.0
HOLD_SECONDS = 900


class AccountMethods:
    """The operations on one account. calls.py describes each method."""

    consume = Operation(calls.consume)
    consume_batch = Operation(calls.consume_batch)
    find_consumption = Operation(calls.find_consumption)
    get_consumption = Operation(calls.get_consumption)
    reverse_charge = Operation(calls.reverse_charge)
    place_hold = Operation(calls.place_hold)
    get_hold = Operation(calls.get_hold)
    capture_hold = Operation(calls.capture_hold)
    release_hold = Operation(calls.release_hold)
    get_balance = Operation(calls.get_balance)
    quote = Operation(calls.quote)
    get_history = Operation(calls.get_history)
    get_history_csv = Operation(calls.get_history_csv)
    history = Listing(calls.get_history, lambda page: page.entries)
    get_statement = Operation(calls.get_statement)
    get_statement_csv = Operation(calls.get_statement_csv)
    get_usage = Operation(calls.get_usage)
    list_events_of_account = Operation(calls.list_events_of_account)
    events = Listing(calls.list_events_of_account, lambda page: page.events)
    put_account = Operation(calls.put_account)
    patch_account = Operation(calls.patch_account)
    get_account = Operation(calls.get_account)
    grant_credits = Operation(calls.grant_credits)
    void_grant = Operation(calls.void_grant)
    erase = Operation(calls.erase)
    put_manager_code = Operation(calls.put_manager_code)
    open_manager_session = Operation(calls.open_manager_session)
    buy_pack = Operation(calls.buy_pack)
    get_purchase = Operation(calls.get_purchase)
    cancel_purchase = Operation(calls.cancel_purchase)
    list_purchases = Operation(calls.list_purchases)
    purchases = Listing(calls.list_purchases, lambda page: page.purchases)
    create_portal_session = Operation(calls.create_portal_session)


class ServiceMethods:
    """The operations that concern more than one account. calls.py describes each method."""

    list_accounts = ServiceOperation(calls.list_accounts)
    accounts = ServiceListing(calls.list_accounts, lambda page: page.accounts)
    list_events = ServiceOperation(calls.list_events)
    events = ServiceListing(calls.list_events, lambda page: page.events)
    list_packs = ServiceOperation(calls.list_packs)
    get_catalog = ServiceOperation(calls.get_catalog)
    put_catalog = ServiceOperation(calls.put_catalog)
    list_purchases_by_state = ServiceOperation(calls.list_purchases_by_state)
    purchases = ServiceListing(calls.list_purchases_by_state, lambda page: page.purchases)


class Hold:
    """A hold, within its `with` block. placed: the service's answer."""

    def __init__(self, account: "Account", placed: PlacedHold, key: str) -> None:
        self._account, self._key = account, key
        self.placed = placed
        self.open = True

    def __repr__(self) -> str:
        return f"Hold({self.placed.id}, {'open' if self.open else 'ended'})"

    def capture(self, quantity: int | None = None) -> Capture:
        """Charge units of the hold, all by default; the rest comes back. Raises as capture_hold."""
        self.open = False
        try:
            return self._account.capture_hold(self.placed.id, quantity, key=self._key)
        except Refused:
            # Nothing was charged, so the end of the block releases the hold.
            self.open = True
            raise

    def release(self) -> None:
        """Give back the hold, as the end of the block does. It never fails: a hold that isn't released lapses."""
        self.open = False
        self._account.transport.follow(give_back(self._account.id, self.placed, self._key))


class AsyncHold:
    """A hold, within its `async with` block. placed: the service's answer."""

    def __init__(self, account: "AsyncAccount", placed: PlacedHold, key: str) -> None:
        self._account, self._key = account, key
        self.placed = placed
        self.open = True

    def __repr__(self) -> str:
        return f"AsyncHold({self.placed.id}, {'open' if self.open else 'ended'})"

    async def capture(self, quantity: int | None = None) -> Capture:
        """Charge units of the hold, all by default; the rest comes back. Raises as capture_hold."""
        self.open = False
        try:
            return await self._account.capture_hold(self.placed.id, quantity, key=self._key)
        except Refused:
            self.open = True
            raise

    async def release(self) -> None:
        """Give back the hold, as the end of the block does. It never fails: a hold that isn't released lapses."""
        self.open = False
        await self._account.transport.follow(give_back(self._account.id, self.placed, self._key))


class Account(AccountMethods):
    """One account. Creating it makes no request, so only the first request shows whether the account exists."""

    def __init__(self, account: str, transport: SyncTransport) -> None:
        self.id, self.transport = account, transport

    @contextmanager
    def hold(
        self, feature: str, quantity: int = 1, *, key: str, ttl_seconds: int = HOLD_SECONDS, **texts: Unpack[Texts]
    ) -> Iterator[Hold]:
        """Reserve units for a block, in which you capture those that were used. Its end releases the others.

        If the process dies, the hold lapses by itself. key: of the charge; the keys of hold and release derive from it.
        """
        work = Work(account=self.id, feature=feature, quantity=quantity, key=key, ttl_seconds=ttl_seconds, texts=texts)
        hold = Hold(self, self.transport.follow(reserve(work)), key)
        try:
            yield hold
        finally:
            if hold.open:
                hold.release()


class AsyncAccount(AccountMethods):
    """One account, for asyncio: each method returns an awaitable or an async iterator."""

    def __init__(self, account: str, transport: AsyncTransport) -> None:
        self.id, self.transport = account, transport

    @asynccontextmanager
    async def hold(
        self, feature: str, quantity: int = 1, *, key: str, ttl_seconds: int = HOLD_SECONDS, **texts: Unpack[Texts]
    ) -> AsyncIterator[AsyncHold]:
        """As Account.hold. A cancelled block releases its hold too."""
        work = Work(account=self.id, feature=feature, quantity=quantity, key=key, ttl_seconds=ttl_seconds, texts=texts)
        hold = AsyncHold(self, await self.transport.follow(reserve(work)), key)
        try:
            yield hold
        finally:
            if hold.open:
                await hold.release()


class Prepaid(ServiceMethods):
    """A client of the service, safe for threads. Create one and reuse it: it keeps connections and the token.

    credentials: a token, or a client that requests tokens. deadline: the most seconds for a request with all its
    retries; after that it raises Unavailable. transport: an httpx transport, for tests and proxies.
    """

    def __init__(
        self,
        url: str,
        credentials: str | ClientCredentials,
        *,
        deadline: float = DEADLINE_SECONDS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.transport = SyncTransport(_service(url, credentials, deadline), transport)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """A client configured by PREPAID_URL, with a token from either PREPAID_TOKEN or the client credentials in
        PREPAID_TOKEN_URL, PREPAID_CLIENT_ID and PREPAID_CLIENT_SECRET."""
        return cls(environment["PREPAID_URL"], _credentials(environment))

    def account(self, account: str) -> Account:
        """An account by its id. It makes no request."""
        return Account(account, self.transport)

    def charge(
        self,
        feature: str,
        *,
        account: Choice[str],
        key: Choice[str],
        quantity: Choice[int] = 1,
        ttl_seconds: int = HOLD_SECONDS,
        customer: Choice[str] | None = None,
        reference: Choice[str] | None = None,
    ) -> Decorator:
        """A decorator: hold, run the function, capture. An exception releases the hold; a killed process lets it lapse.

        Each choice is a value, or a function of the decorated function's arguments. ttl_seconds: longer than the
        function can take. It fails closed: without a hold the function doesn't run, and a result that couldn't be
        charged isn't returned. Raises TypeError for an async function and for a generator.
        """
        price = Price(
            feature=feature,
            account=account,
            key=key,
            quantity=quantity,
            ttl_seconds=ttl_seconds,
            texts={"customer": customer, "reference": reference},
        )
        return lambda function: charged(function, price, self.transport)

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncPrepaid(ServiceMethods):
    """A client of the service for asyncio. The parameters are those of Prepaid."""

    def __init__(
        self,
        url: str,
        credentials: str | ClientCredentials,
        *,
        deadline: float = DEADLINE_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.transport = AsyncTransport(_service(url, credentials, deadline), transport)

    @classmethod
    def from_env(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As Prepaid.from_env."""
        return cls(environment["PREPAID_URL"], _credentials(environment))

    def account(self, account: str) -> AsyncAccount:
        """An account by its id. It makes no request."""
        return AsyncAccount(account, self.transport)

    def charge(
        self,
        feature: str,
        *,
        account: Choice[str],
        key: Choice[str],
        quantity: Choice[int] = 1,
        ttl_seconds: int = HOLD_SECONDS,
        customer: Choice[str] | None = None,
        reference: Choice[str] | None = None,
    ) -> AsyncDecorator:
        """A decorator: hold, run the function, capture. An exception or a cancellation releases the hold.

        Each choice is a value, or a function of the decorated function's arguments. ttl_seconds: longer than the
        function can take. It fails closed: without a hold the function doesn't run, and a result that couldn't be
        charged isn't returned. Raises TypeError for a function that isn't async.
        """
        price = Price(
            feature=feature,
            account=account,
            key=key,
            quantity=quantity,
            ttl_seconds=ttl_seconds,
            texts={"customer": customer, "reference": reference},
        )
        return lambda function: charged_async(function, price, self.transport)

    async def close(self) -> None:
        """Close the connections."""
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _service(url: str, credentials: str | ClientCredentials, deadline: float) -> Service:
    return Service(url=url, credentials=credentials, deadline=deadline, clock=time.monotonic, random=random.random)


def _credentials(environment: Mapping[str, str]) -> str | ClientCredentials:
    token = environment.get("PREPAID_TOKEN")
    if token:
        return token
    return ClientCredentials(
        token_url=environment["PREPAID_TOKEN_URL"],
        client_id=environment["PREPAID_CLIENT_ID"],
        client_secret=environment["PREPAID_CLIENT_SECRET"],
    )
