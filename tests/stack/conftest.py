"""One whole local stack for all tests of this folder, on one worker, and the stages of one account's life in it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from local.processes import STATE
from local.stack import Options, Stack, local_stack
from tests.support import account_life
from tests.support.chromium import NoBrowserError, executable
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One stack is enough: its tests share a worker."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The deployed service with everything around it. Its logs stay when a test failed."""
    name = f"test-{os.getpid()}"
    # No scheduled reconciliation: the tests about it start it themselves.
    overrides = {"ReconcileSchedule": "rate(1 day)"}
    with local_stack(Options(name=name, port=0, stripe_port=0, overrides=overrides)) as running:
        yield running
    if not request.session.testsfailed:
        shutil.rmtree(STATE / "log" / name, ignore_errors=True)
        (STATE / f"{name}.lock").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def api(stack: Stack) -> HttpApi:
    return HttpApi(stack.addresses.api_url, stack.addresses.tokens)


@pytest.fixture(scope="session")
def cashier(stack: Stack) -> StackStorefront:
    """The storefront for the whole session, whose deliveries no test disturbs."""
    return StackStorefront(stack)


@pytest.fixture
def storefront(cashier: StackStorefront) -> Iterator[StackStorefront]:
    """The storefront for one test, which may disturb its deliveries."""
    yield cashier
    cashier.stop_disturbing()


@pytest.fixture(scope="session")
def bought(api: HttpApi, cashier: StackStorefront) -> account_life.Bought:
    return account_life.buy(api, cashier)


@pytest.fixture(scope="session")
def spent(api: HttpApi, bought: account_life.Bought) -> account_life.Spent:
    return account_life.spend(api, bought.account)


@pytest.fixture(scope="session")
def expired(api: HttpApi, bought: account_life.Bought, spent: account_life.Spent) -> account_life.Expired:
    return account_life.let_expire(api, bought.account, spent.refused_key)


@pytest.fixture(scope="session")
def swept(api: HttpApi, bought: account_life.Bought, expired: account_life.Expired) -> list[Any]:
    return account_life.wait_for_sweep(api, bought.account)


@pytest.fixture(scope="module")
def account(api: HttpApi) -> str:
    """One with forty credits, for the tests of one file."""
    account = api.open(new_account())
    api.give(40, account)
    return account


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each has a window of its own."""
    try:
        path = executable()
    except NoBrowserError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        # Chromium's sandbox doesn't run as root, as which containers run.
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def shop(api: HttpApi, cashier: StackStorefront) -> str:
    """A new account with a code, some credits and a quota."""
    account = api.open(new_account(), credits=120, name="Pet Shop da Ana", plan="trio", ai_enabled=True)
    cashier.set_code(account)
    return account
