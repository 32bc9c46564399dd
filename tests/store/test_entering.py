"""A right code uses up a link and opens one session on the page, in one transaction with the count of tries."""

import secrets
from dataclasses import replace
from datetime import timedelta

import pytest

from prepaid.core.errors import IdempotencyKeyReused, PortalLinkUsed, WrongCode
from prepaid.core.portal import PortalLink
from prepaid.store.manager_codes import read_code
from prepaid.use_cases.approving import CodeSecrets, change_code
from prepaid.use_cases.entering import LinkRequest, enter, make_link, open_link, session_of
from tests.support.manager_codes import CODE, WRONG, set_code
from tests.support.store_driver import CODES, NOW, StoreDriver, stored
from tests.support.wire import Wire, answer_lost

NEW_CODE = "830164"
WANTED = LinkRequest(language="pt-BR", return_url="https://shop.example.com/credits", request_hash=b"a request")


def a_link(driver: StoreDriver, key: str = "k") -> PortalLink:
    """A new link, as its form shows it."""
    link = make_link(driver.table, "acme", key, WANTED, CODES, now=NOW)
    return open_link(driver.table, link.token, now=NOW)


def portal_sessions(driver: StoreDriver) -> list[str]:
    return [partition for partition, sort in stored(driver.table) if sort == "PORTAL"]


def test_two_people_with_one_link_open_one_session(driver: StoreDriver) -> None:
    """Both have the form before either of them sends it."""
    set_code(driver, CODE)
    link = a_link(driver)
    enter(driver.table, link, CODE, CODES, now=NOW)

    with pytest.raises(PortalLinkUsed):
        enter(driver.table, link, CODE, CODES, now=NOW)

    assert len(portal_sessions(driver)) == 1


def test_a_lost_reply_still_opens_the_session(driver: StoreDriver, wire: Wire) -> None:
    set_code(driver, CODE)
    link = a_link(driver)
    wire.plan("TransactWriteItems", answer_lost)

    entered = enter(driver.table, link, CODE, CODES, now=NOW)

    assert session_of(driver.table, entered.token, now=NOW) == entered.session
    assert len(portal_sessions(driver)) == 1


def test_a_right_code_on_the_page_clears_the_tries(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    link = a_link(driver)
    for _ in range(2):
        with pytest.raises(WrongCode):
            enter(driver.table, link, WRONG, CODES, now=NOW)
    assert read_code(driver.table, "acme").tries == 2

    enter(driver.table, link, CODE, CODES, now=NOW)

    assert read_code(driver.table, "acme").tries == 0


def test_a_code_changed_while_entering_opens_nothing(driver: StoreDriver) -> None:
    set_code(driver, CODE)
    link = a_link(driver)

    def change_the_code_first(size: int) -> bytes:
        change_code(driver.table, "acme", NEW_CODE, None, CODES, now=NOW)
        return secrets.token_bytes(size)

    # The session's token is drawn after the code was compared and before the session is stored.
    codes: CodeSecrets = replace(CODES, random_bytes=change_the_code_first)
    with pytest.raises(WrongCode):
        enter(driver.table, link, CODE, codes, now=NOW)

    assert portal_sessions(driver) == []
    assert enter(driver.table, link, NEW_CODE, CODES, now=NOW).session.account == "acme"


def test_another_request_with_a_links_key_is_refused(driver: StoreDriver) -> None:
    first_link = make_link(driver.table, "acme", "k", WANTED, CODES, now=NOW)

    with pytest.raises(IdempotencyKeyReused):
        make_link(driver.table, "acme", "k", replace(WANTED, request_hash=b"another"), CODES, now=NOW)

    again = make_link(driver.table, "acme", "k", WANTED, CODES, now=NOW + timedelta(minutes=1))
    assert (again.token, again.expires_at) == (first_link.token, first_link.expires_at)
