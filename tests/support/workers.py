"""What the tests' other processes run. A new process imports it by name, so arguments and results are plain values."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from prepaid.aws import open_dynamodb
from prepaid.core.errors import InsufficientCredits
from prepaid.store.dynamodb import Table
from tests.support.core_builders import a_payment_status
from tests.support.store_driver import NO_DEADLINE, StoreDriver, a_purchase, until_answered

type Answer = tuple[str, int]

REFUSED: Answer = ("refused", 0)


def debit_each(table_name: str, keys: list[str], threads: int) -> list[Answer]:
    """One debit of 1 for each key; returns each response."""
    driver = StoreDriver(Table(client=open_dynamodb(), name=table_name, deadline=NO_DEADLINE))
    return at_once(lambda key: debit(driver, key), keys, threads)


def deliver_paid(table_name: str, event: str) -> str:
    """Another delivery of the same payment."""
    driver = StoreDriver(Table(client=open_dynamodb(), name=table_name, deadline=NO_DEADLINE))
    return until_answered(lambda: driver.receive(a_payment_status("paid", a_purchase()), event=event))


def debit(driver: StoreDriver, key: str | None, quantity: int = 1) -> Answer:
    """The number of the entry that carries the debit out, and whether it is new; or that it was refused."""
    try:
        done = until_answered(lambda: driver.debit(quantity, key=key))
    except InsufficientCredits:
        return REFUSED
    return ("replayed" if done.replayed else "new", done.entries[-1].number)


def at_once[I, O](call: Callable[[I], O], inputs: Iterable[I], threads: int) -> list[O]:
    """Call with each input on one of so many threads; return the results in the inputs' order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, inputs))
