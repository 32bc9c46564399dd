"""`charge`: a decorator that holds credits before a function runs and charges them after it returned."""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Protocol

from prepaid_client.calls import Texts
from prepaid_client.holding import Work, give_back, reserve, settle
from prepaid_client.transports import AsyncTransport, SyncTransport

# A value, or a function of the decorated function's arguments.
type Choice[T] = T | Callable[..., T]


class Decorator(Protocol):
    """Decorates a function, and keeps its type."""

    def __call__[**P, T](self, function: Callable[P, T], /) -> Callable[P, T]: ...


class AsyncDecorator(Protocol):
    """Decorates an async function, and keeps its type."""

    def __call__[**P, T](
        self, function: Callable[P, Coroutine[Any, Any, T]], /
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one call of the function costs. Each Choice is resolved with the call's arguments."""

    feature: str
    account: Choice[str]
    key: Choice[str]
    quantity: Choice[int]
    ttl_seconds: int
    texts: Mapping[str, Choice[str] | None]

    def of(self, arguments: tuple[Any, ...], kwargs: dict[str, Any]) -> Work:
        """The work to charge for a call with these arguments."""

        def resolve[T](choice: Choice[T]) -> T:
            value: T = choice(*arguments, **kwargs) if callable(choice) else choice
            return value

        texts = {name: resolve(choice) for name, choice in self.texts.items() if choice is not None}
        return Work(
            account=resolve(self.account),
            feature=self.feature,
            quantity=resolve(self.quantity),
            key=resolve(self.key),
            ttl_seconds=self.ttl_seconds,
            texts=Texts(**texts),  # type: ignore[typeddict-item]
        )


def charged[**P, T](function: Callable[P, T], price: Price, transport: SyncTransport) -> Callable[P, T]:
    """The function, charged. Raises TypeError for an async function and for a generator."""
    if inspect.iscoroutinefunction(function) or _is_generator(function):
        raise TypeError(f"{function.__qualname__} must be a plain function: AsyncPrepaid charges async ones")

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        work = price.of(args, kwargs)
        hold = transport.follow(reserve(work))
        try:
            result = function(*args, **kwargs)
        except BaseException:
            transport.follow(give_back(work.account, hold, work.key))
            raise
        transport.follow(settle(work, hold))
        return result

    return run


def charged_async[**P, T](
    function: Callable[P, Coroutine[Any, Any, T]], price: Price, transport: AsyncTransport
) -> Callable[P, Coroutine[Any, Any, T]]:
    """The async function, charged. Raises TypeError for any other function."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function.__qualname__} must be an async function: Prepaid charges plain ones")

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        work = price.of(args, kwargs)
        hold = await transport.follow(reserve(work))
        try:
            result = await function(*args, **kwargs)
        except BaseException:
            await transport.follow(give_back(work.account, hold, work.key))
            raise
        await transport.follow(settle(work, hold))
        return result

    return run


def _is_generator(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
