"""A run's histories and table, to be made wrong in one way at a time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from prepaid.store.dynamodb import Item
from tests.bank.checker import items_by_account
from tests.bank.history import Attempt, Response
from tests.oracle import stored_form
from tests.support.store_driver import Stored, entry_items


@dataclass
class Run:
    """Histories and table, to be spoiled."""

    histories: list[Attempt]
    items: Stored

    def change(self, attempt: Attempt, **changes: Any) -> None:
        """Of an attempt as it was sent; `response` takes changes of its answer."""
        response = changes.pop("response", None)
        if response is not None:
            assert attempt.response
            changes["response"] = replace(attempt.response, **response)
        self.histories[self.histories.index(attempt)] = replace(attempt, **changes)

    def answered(self, ask: str, status: int, where: Callable[[Attempt, Response], bool] = lambda *_: True) -> Attempt:
        """The first attempt that asked this and was answered so."""
        for attempt in self.histories:
            response = attempt.response
            if attempt.request.kind == ask and response and response.status == status and where(attempt, response):
                return attempt
        raise AssertionError(f"no {ask} was answered {status}")

    def new(self, ask: str, where: Callable[[Attempt, Response], bool] = lambda *_: True) -> Attempt:
        """The first attempt that was acknowledged as new."""
        return self.answered(ask, 201, lambda attempt, response: not response.replayed and where(attempt, response))

    def touched_since(self, before: "Run") -> "Run":
        """Of the accounts that differ from those of an earlier copy: all attempts and items."""
        own, earlier = ({id(attempt): attempt for attempt in run.histories} for run in (self, before))
        attempts = [(own | earlier)[number] for number in own.keys() ^ earlier.keys()]
        keys = self.items.keys() | before.items.keys()
        changed: Stored = {key: {} for key in keys if self.items.get(key) != before.items.get(key)}
        accounts = {attempt.request.account for attempt in attempts} | items_by_account(changed).keys()
        stored = items_by_account(self.items)
        return Run(
            [attempt for attempt in self.histories if attempt.request.account in accounts],
            {key: item for account in accounts for key, item in stored.get(account, {}).items()},
        )

    def last_of(self, account: str) -> int:
        return len(entry_items(self.items, account))

    def rewrite(self, account: str, edit: Callable[[list[Any]], None]) -> None:
        """Edit an account's entries, as pairs of line and state, and chain them anew: a liar who knows the format."""
        items = entry_items(self.items, account)
        pairs = [list(stored_form.read(item)) for item in items]
        edit(pairs)
        for item in items:
            del self.items[item["PK"]["S"], item["SK"]["S"]]
        before = bytes(32)
        for number, (line, state) in enumerate(pairs, start=1):
            key = (f"ACCOUNT#{account}", f"ENTRY#{number:012d}")
            attributes = stored_form.written(line, state, salt=f"{number:022d}")
            hashed = "\n".join((*key, attributes["line"], attributes["state"]))
            before = sha256(before + hashed.encode()).digest()
            self.items[key] = entry_item(key, attributes, before)


type Corruption = Callable[[Run], None]


def entry_item(key: tuple[str, str], attributes: dict[str, str], digest: bytes) -> Item:
    return {
        "PK": {"S": key[0]},
        "SK": {"S": key[1]},
        **{name: {"S": text} for name, text in attributes.items()},
        "hash": {"B": digest},
    }
