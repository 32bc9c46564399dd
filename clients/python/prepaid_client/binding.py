"""Turns the functions of calls.py into methods of both the sync and the async client.

`get_balance = Operation(calls.get_balance)`, in the class that Account and AsyncAccount share, is a method that sends
the call and returns its answer: directly, or when awaited. It has the function's parameters and docstring, which
`help(Account.get_balance)` shows.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, overload

from prepaid_client.calls import Call

if TYPE_CHECKING:
    from prepaid_client.client import Account, AsyncAccount, AsyncPrepaid, Prepaid


class Page(Protocol):
    """A page of a list. next_cursor: of the next page; None on the last page."""

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
        return lambda *args, **kwargs: owner.transport.send(self.build(owner.id, *args, **kwargs))


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
        return lambda *args, **kwargs: owner.transport.send(self.build(*args, **kwargs))


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
        return lambda *args, **kwargs: owner.transport.pages(self.build(owner.id, *args, **kwargs), self.items)


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
        return lambda *args, **kwargs: owner.transport.pages(self.build(*args, **kwargs), self.items)
