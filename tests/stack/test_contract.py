"""Whatever a client sends, the deployed service responds as openapi.json says. `make fuzz` runs longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local import demo
from tests.fuzzing.explorer import explore
from tests.support.api import PUT_CATALOG
from tests.support.over_http import HttpApi, new_account
from tests.support.payment_page import StackStorefront

# All tests of the stack share the catalog, so tests/security changes it on a table of its own.
SHARED = (PUT_CATALOG,)


def words_of(api: HttpApi, storefront: StackStorefront) -> dict[str, list[str]]:
    """What exists: an account with credits and its manager's code, open sessions, a purchase, a consumption, a hold."""
    account = api.open(new_account(), plan="individual", ai_enabled=True)
    api.give(1_000_000, account)
    storefront.set_code(account)
    sessions = [api.manager_session(account, demo.CODE) for _ in range(4)]
    bought = api.buy("credits-50", account, session=sessions.pop())
    spent, held = api.spend(account=account), api.hold(account=account)
    return {
        "path.account": [account],
        "path.id": [bought.body["id"], spent.body["id"], held.body["id"]],
        "body.code": [demo.CODE],
        "header.Manager-Session": sessions,
    }


@pytest.fixture
def _other_accounts_unchanged(api: HttpApi) -> Iterator[None]:
    """The stack's tests run side by side, each with accounts of its own."""
    others = [api.open(new_account(), credits=5) for _ in range(8)]
    before = [api.history(other) for other in others]
    yield
    assert [api.history(other) for other in others] == before


@pytest.mark.usefixtures("_other_accounts_unchanged")
def test_random_requests_get_documented_responses(api: HttpApi, storefront: StackStorefront, tmp_path: Path) -> None:
    explore(api.url, api.tokens, words_of(api, storefront), tmp_path, phases="fuzzing", examples=8, without=SHARED)
