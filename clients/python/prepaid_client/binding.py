"""How the functions of calls.py become methods, of the sync and the async client alike.

`get_balance = Operation(calls.get_balance)` in the one class that Account and AsyncAccount share is a method that sends
the call and returns its answer: at once, or when awaited. The arguments' types are those of the function, which is what
the class itself shows: `help(Account.get_balance)`.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, overload

from prepaid_client.calls import Call

if TYPE_CHECKING:
    from prepaid_client.client import Account, AsyncAccount, AsyncPrepaid, Prepaid


class Page(Protocol):
    """A part of a list. next_cursor: where the list continues."""

    @property
    def next_cursor(self) -> str | None: ...


class Operation[**P, T]:
    """A method of an account that sends one call."""

    def __init__(self, build: Callable[Concatenate[str, P], Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[Concatenate[str, P], Call[T]]: ...
    @overload
    def __get__(self, owner: "Account", kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: "AsyncAccount", kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self.build
        return lambda *args, **more: owner.transport.send(self.build(owner.id, *args, **more))


class ServiceOperation[**P, T]:
    """A method of the client itself that sends one call."""

    def __init__(self, build: Callable[P, Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[P, Call[T]]: ...
    @overload
    def __get__(self, owner: "Prepaid", kind: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, owner: "AsyncPrepaid", kind: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self.build
        return lambda *args, **more: owner.transport.send(self.build(*args, **more))


class Listing[**P, L: Page, T]:
    """A method of an account that iterates over the items of all pages, and requests each page when it is needed."""

    def __init__(self, build: Callable[Concatenate[str, P], Call[L]], items: Callable[[L], tuple[T, ...]]) -> None:
        self.build, self.items = build, items
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[Concatenate[str, P], Call[L]]: ...
    @overload
    def __get__(self, owner: "Account", kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, owner: "AsyncAccount", kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self.build
        return lambda *args, **more: owner.transport.pages(self.build(owner.id, *args, **more), self.items)


class ServiceListing[**P, L: Page, T]:
    """A method of the client itself that iterates over the items of all pages."""

    def __init__(self, build: Callable[P, Call[L]], items: Callable[[L], tuple[T, ...]]) -> None:
        self.build, self.items = build, items
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> Callable[P, Call[L]]: ...
    @overload
    def __get__(self, owner: "Prepaid", kind: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, owner: "AsyncPrepaid", kind: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, owner: Any, kind: type) -> Any:
        if owner is None:
            return self.build
        return lambda *args, **more: owner.transport.pages(self.build(*args, **more), self.items)
