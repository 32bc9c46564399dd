"""The salt of an entry's texts: the salt of one entry says nothing about another's."""

from dataclasses import replace

from prepaid.core.ledger import Debit, apply
from prepaid.store.dynamodb import Item
from prepaid.store.items import GENESIS_HASH, SALT_BYTES, entry_to_item, salt_of
from tests.support.core_builders import CATALOG, NOW, a_lot, an_account

REQUEST_SALT = bytes(range(SALT_BYTES))


def stored_texts(number: int, salt: bytes) -> Item:
    account = replace(an_account(a_lot(5)), number=number - 1)
    debit = Debit(actor="service", feature="sticker", quantity=1, customer="Maria")
    [entry] = apply(account, debit, catalog=CATALOG, now=NOW)
    item = entry_to_item(entry, GENESIS_HASH, salt)
    return {name: item[name]["S"] for name in ("line", "texts")}


def test_two_entries_of_one_request_have_different_salts() -> None:
    first, second = (stored_texts(number, salt_of(REQUEST_SALT, number)) for number in (2, 3))

    assert first["texts"] != second["texts"]
    assert first["line"] != second["line"]


def test_a_salt_has_sixteen_bytes_and_is_not_the_requests_own() -> None:
    assert len(salt_of(REQUEST_SALT, 2)) == SALT_BYTES
    assert salt_of(REQUEST_SALT, 2) != REQUEST_SALT
    assert salt_of(b"", 2) == b""
