"""Features, plans and packs that a new catalog leaves out. The example of docs/platforms.md leaves out all."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import (
    BALANCE,
    CONSUME,
    GET_ACCOUNT,
    GET_CATALOG,
    HISTORY,
    PACKS,
    PATCH_ACCOUNT,
    PUT_ACCOUNT,
    PUT_CATALOG,
    Answer,
)
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.interruptions import rivalled
from tests.support.stripe_purchases import Storefront

PLATFORMS = Path(__file__).parents[2] / "docs/platforms.md"
STICKER = {"id": "sticker", "price": 1}
AI_SERVICE = {"id": "ai_service", "price": 1}
RENDER = {"id": "render", "price": 5}
TRIO, PRO = {"id": "trio", "quotas": {"ai_service": 300}}, {"id": "pro", "quotas": {"ai_service": 50}}
SMALL = {"id": "small", "credits": 100, "amount": 900, "currency": "usd"}


def put(service: Service, *, version: int = 1, **kinds: list[Any]) -> Answer:
    """The next catalog, with these features, plans and packs alone."""
    catalog = {"features": [STICKER, AI_SERVICE], "plans": [TRIO, PRO], "packs": [SMALL]} | kinds
    answer = service(PUT_CATALOG, json=catalog, headers={"if-match": f'"{version}"'})
    assert answer.status == 200, answer
    return answer


def ids(things: list[Any], *, active: bool = True) -> list[str]:
    return [thing["id"] for thing in things if thing["active"] == active]


def documented_requests() -> list[list[str]]:
    """The arguments of each curl command of the documents' example."""
    [example] = re.findall(r"^```sh\n(.*?)^```", PLATFORMS.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    commands = [shlex.split(command) for command in re.split(r"^(?=curl )", example, flags=re.MULTILINE) if command]
    return [command[: command.index("|")] if "|" in command else command for command in commands]


def send(service: Service, arguments: list[str]) -> Answer:
    """What curl would send."""

    def values(option: str) -> list[str]:
        return [arguments[place + 1] for place, argument in enumerate(arguments) if argument == option]

    [url] = [argument for argument in arguments if argument.startswith("$API")]
    headers = dict(header.split(": ", 1) for header in values("-H") if not header.startswith("Authorization"))
    route = f"{(values('-X') or ['GET'])[0]} {url.removeprefix('$API')}"
    body = values("--json")
    return service(route, by="admin", body=body[0] if body else None, headers=headers)


def test_the_documented_example_works_on_a_fresh_stack(service: Service) -> None:
    service.open("petshop-1", plan="trio", ai_enabled=True)

    answers = [send(service, arguments) for arguments in documented_requests()]

    assert [answer.status for answer in answers] == [200, 200]
    assert ids(answers[1].body["features"]) == ["render", "export"]
    assert ids(answers[1].body["plans"]) == ["free", "pro"]
    assert [pack["id"] for pack in service(PACKS).body["packs"]] == ["small", "large"]
    service.open("studio-1", plan="pro", ai_enabled=True, credits=5)
    assert service.spend(51, "render", account="studio-1").body["draws"][0]["units"] == 50
    # Its retired plan still has a quota of the retired feature.
    assert service.balance("petshop-1")["features"].keys() == {"render", "export", "ai_service"}
    assert [quota["feature"] for quota in service.balance("petshop-1")["quotas"]] == ["ai_service"]


def test_what_a_catalog_leaves_out_is_listed_as_retired(service: Service) -> None:
    answer = put(service, features=[RENDER], plans=[PRO], packs=[SMALL])

    assert ids(answer.body["features"], active=False) == ["sticker", "ai_service"]
    assert ids(answer.body["plans"], active=False) == ["none", "individual", "trio", "team", "scale"]
    assert ids(answer.body["packs"], active=False) == ["credits-50", "credits-100", "credits-500", "credits-1000"]
    assert service(GET_CATALOG).body == answer.body
    # A retry is not another administrator's change.
    assert put(service, features=[RENDER], plans=[PRO], packs=[SMALL]).text == answer.text


@pytest.mark.parametrize("call", [("Query", 1), ("TransactWriteItems", 1)])
def test_a_patch_names_no_plan_that_another_change_replaces(service: Service, call: tuple[str, int]) -> None:
    service.open(plan="trio")
    put(service, plans=[PRO])
    client, (operation, number) = service.table.client, call
    met: list[Answer] = []

    with rivalled(client, operation, lambda: met.append(service(PATCH_ACCOUNT, json={"plan": "pro"})), call=number):
        answer = service(PATCH_ACCOUNT, json={"name": "Zoo", "quota_anchor_day": 3})

    assert [answer.status for answer in (*met, answer)] == [200, 200]
    account = service(GET_ACCOUNT).body
    assert (account["plan"], account["name"], account["quota_anchor_day"]) == ("pro", "Zoo", 3)


def test_a_catalog_with_its_retired_parts_can_be_put_back(service: Service) -> None:
    catalog = put(service, features=[RENDER]).body
    version = catalog.pop("version")

    answer = service(PUT_CATALOG, json=catalog, headers={"if-match": str(version)})

    assert answer.body == {"version": 3, **catalog}


def test_a_retired_feature_is_refused_with_the_active_ones(service: Service) -> None:
    service.open(credits=10)
    service.spend(1, key="before")
    put(service, features=[RENDER, AI_SERVICE])

    answer = service.spend(1)

    assert (answer.status, answer.code, answer.fields) == (422, "feature_retired", ["feature"])
    assert answer.body["errors"][0]["message"] == "is retired: must be one of render, ai_service"
    assert service.balance()["features"].keys() == {"render", "ai_service"}
    assert service.balance()["credits"]["available"] == 9


def test_a_retry_for_a_retired_feature_gets_its_original_response(service: Service) -> None:
    service.open(credits=10)
    before = service.spend(1, key="job-1")
    put(service, features=[RENDER])

    again, another = service.spend(1, key="job-1"), service.spend(2, key="job-1")

    assert (again.status, again.text, again.replayed) == (201, before.text, True)
    assert (another.status, another.code) == (409, "idempotency_key_reused")
    assert [entry["feature"] for entry in service(HISTORY, query={"feature": "sticker"}).body["entries"]] == ["sticker"]


def test_a_feature_comes_back_with_a_later_catalog(service: Service) -> None:
    service.open(credits=10)
    put(service, features=[RENDER])
    put(service, version=2, features=[RENDER, STICKER | {"price": 2}])

    assert service.spend(1).body["credits"] == 2
    assert service.balance()["features"].keys() == {"render", "sticker"}


def test_a_retired_plan_stays_with_its_accounts(service: Service) -> None:
    service.open(plan="trio", ai_enabled=True)
    put(service, plans=[PRO])

    kept = service(PATCH_ACCOUNT, json={"name": "New name", "plan": "trio"})

    assert (kept.status, service(GET_ACCOUNT).body["plan"]) == (200, "trio")
    assert service.spend(1, "ai_service").body["quota"] == 1
    assert service(BALANCE).body["quotas"][0]["limit"] == 300


@pytest.mark.parametrize("plan", ["trio", "unheard-of"])
def test_no_account_gets_a_retired_or_unknown_plan(service: Service, plan: str) -> None:
    service.open(plan="none")
    put(service, plans=[PRO, {"id": "free", "quotas": {}}])
    before = service.stored()

    body = {"name": "x", "plan": plan}
    answers = [service(PATCH_ACCOUNT, json=body), service(PUT_ACCOUNT, "new", json=body)]

    assert [(answer.status, answer.code, answer.fields) for answer in answers] == [
        (422, "invalid_request", ["plan"])
    ] * 2
    assert all("must be one of pro, free" in answer.body["detail"] for answer in answers)
    assert service.stored() == before


def test_an_account_that_left_a_retired_plan_does_not_return(service: Service) -> None:
    service.open(plan="trio")
    put(service, plans=[PRO])
    assert service(PATCH_ACCOUNT, json={"plan": "pro"}).status == 200

    assert service(PATCH_ACCOUNT, json={"plan": "trio"}).status == 422
    put(service, version=2, plans=[PRO, TRIO])
    assert service(PATCH_ACCOUNT, json={"plan": "trio"}).status == 200


def test_a_retired_plan_gives_no_quota_of_another_feature(service: Service) -> None:
    service.open(plan="trio", ai_enabled=True, credits=5)
    service.spend(10, "ai_service")

    put(service, features=[RENDER], plans=[PRO])

    assert [quota["feature"] for quota in service.balance()["quotas"]] == ["ai_service"]
    assert service.spend(1, "render").body["draws"][0]["source"] == "lot"
    assert service.spend(1, "render").code == "insufficient_credits"


def test_a_retired_feature_is_shown_while_the_plan_has_its_quota(service: Service) -> None:
    service.open(plan="trio", ai_enabled=True)
    service.open("zoo", plan="none", ai_enabled=True)
    put(service, features=[STICKER])

    shown = service.balance()

    assert shown["features"]["ai_service"] == {"price": 1, "can_use": False, "units_left": 0}
    assert [quota["feature"] for quota in shown["quotas"]] == ["ai_service"]
    assert service.balance("zoo")["features"].keys() == {"sticker"}
    assert service.spend(1, "ai_service").code == "feature_retired"
    put(service, version=2, features=[STICKER], plans=[TRIO | {"quotas": {}}, PRO])
    assert service.balance()["features"].keys() == {"sticker"}


def test_a_retired_free_feature_cannot_be_used(service: Service) -> None:
    service.open()
    put(service, features=[STICKER, AI_SERVICE | {"price": 0}])
    assert service.spend(1, "ai_service").status == 201
    put(service, version=2, features=[STICKER])

    assert service.spend(1, "ai_service").code == "feature_retired"


def test_a_past_balance_shows_what_was_active_then(service: Service, clock: Clock) -> None:
    service.open(credits=1)
    before = service.balance()
    clock.now += timedelta(hours=1)
    put(service, features=[RENDER])

    assert service.balance(at=before["as_of"]) == before
    assert service.balance()["features"].keys() == {"render"}


def test_a_retired_pack_cannot_be_bought_and_is_still_granted(service: Service, storefront: Storefront) -> None:
    session = service.manager_session()
    first = service.buy("credits-100", session=session, key="first")
    put(
        service,
        packs=[SMALL | {"currency": "brl"}, {"id": "large", "credits": 1000, "amount": 7900, "currency": "brl"}],
    )

    again, refused = service.buy("credits-100", session=session, key="first"), service.buy("credits-100", key="second")

    assert (again.status, again.text, again.replayed) == (201, first.text, True)
    assert (refused.status, refused.code, refused.fields) == (422, "invalid_request", ["pack"])
    assert refused.body["errors"][0]["message"] == "no such pack on sale: must be one of small, large"
    assert service.spend(1).body["suggested_pack"] == "small"


def test_an_unknown_feature_is_refused_with_twenty_at_most(service: Service) -> None:
    service.open()
    names = [f"f{number:02d}" for number in range(23)]
    put(service, features=[STICKER | {"id": name} for name in names])

    answer = service(CONSUME, json={"feature": "sticky"})

    assert (answer.status, answer.code, answer.fields) == (422, "invalid_request", ["feature"])
    message = f"no such feature: must be one of {', '.join(names[:20])} and 3 more"
    assert answer.body["errors"][0]["message"] == message


@pytest.mark.parametrize("kind", ["features", "plans", "packs"])
def test_a_catalog_has_at_most_two_hundred_of_a_kind(service: Service, kind: str) -> None:
    examples: dict[str, Any] = {"features": STICKER, "plans": PRO, "packs": SMALL}
    shipped = len(service(GET_CATALOG).body[kind])
    others: dict[str, Any] = {"features": {}, "plans": {"features": [STICKER]}, "packs": {"features": [STICKER]}}[kind]
    for version in range(1, 2):
        named = [examples[kind] | {"id": f"v{version}-{number}"} for number in range(100)]
        put(service, version=version, **others, **{kind: named})
    full = [examples[kind] | {"id": f"last-{number}"} for number in range(100 - shipped)]

    too_many = {"features": [STICKER], "plans": [PRO], "packs": []} | {
        kind: [*full, examples[kind] | {"id": "one-more"}]
    }
    answer = service(PUT_CATALOG, json=too_many, headers={"if-match": '"2"'})

    assert (answer.status, answer.fields) == (422, [kind])
    assert "201 with the retired ones" in answer.body["detail"]
