"""Whatever a client makes of openapi.json, the deployed service answers as it says: `make fuzz` asks for longer."""

from pathlib import Path

from local import demo
from tests.security.explorer import explore
from tests.support.payment_page import Till
from tests.support.stack_api import BUY, MANAGER_SESSION, Api

# A catalog is everybody's, and here others are at work; tests/security asks it on a table of its own.
SHARED = ("PUT /v1/catalog",)


def words_of(api: Api, till: Till) -> dict[str, list[str]]:
    """What exists: an account with credits, its manager's code, an open session and a purchase."""
    account = api.open("individual", ai_enabled=True)
    api.give(account, 1_000_000)
    till.set_code(account)
    sessions = [api(MANAGER_SESSION, account, json={"code": demo.CODE}).body["manager_session"] for _ in range(4)]
    bought = api(BUY, account, json={"pack": "credits-50"}, headers={"Manager-Session": sessions.pop()})
    return {
        "path.account": [account],
        "path.id": [bought.body["id"]],
        "body.code": [demo.CODE],
        "header.Manager-Session": sessions,
    }


def test_no_request_gets_an_answer_outside_the_contract(api: Api, till: Till, tmp_path: Path) -> None:
    explore(api.url, api.tokens, words_of(api, till), tmp_path, phases="fuzzing", examples=8, without=SHARED)
