"""A frozen or closed account neither spends nor buys; everything else goes on (rule 21)."""

from datetime import timedelta

import pytest

from tests.support.api import (
    BUY,
    CANCEL,
    CONSUME,
    GET_ACCOUNT,
    GRANT,
    PATCH_ACCOUNT,
    PURCHASE,
    PURCHASES,
    PUT_ACCOUNT,
    QUOTE,
    STATEMENT,
)
from tests.support.handlers import Clock
from tests.support.in_process import Service
from tests.support.interruptions import killed_before
from tests.support.store_driver import lines, types
from tests.support.stripe_purchases import Storefront

STOPPED = ["frozen", "closed"]
DAY = timedelta(days=1)


def become(service: Service, status: str) -> None:
    answer = service(PATCH_ACCOUNT, json={"status": status})
    assert (answer.status, answer.body["status"]) == (200, status)


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_spends_nothing(service: Service, status: str) -> None:
    service.open(credits=10)
    become(service, status)
    before = service.stored()

    answer = service.spend(1)

    assert (answer.status, answer.code) == (409, f"account_{status}")
    assert status in answer.body["detail"]
    assert service.stored() == before


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_spends_no_quota(service: Service, status: str) -> None:
    service.open(plan="trio", ai_enabled=True)
    become(service, status)

    assert service.spend(1, "ai_service").code == f"account_{status}"


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_holds_nothing(service: Service, status: str) -> None:
    service.open(credits=10)
    become(service, status)

    refused = service.hold(3)

    assert (refused.status, refused.code) == (409, f"account_{status}")
    assert service.balance()["credits"]["held"] == 0


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_gets_no_quote(service: Service, status: str) -> None:
    service.open(credits=10)
    become(service, status)

    answer = service(QUOTE, json={"feature": "sticker"})

    assert (answer.status, answer.code) == (409, f"account_{status}")


@pytest.mark.parametrize("status", STOPPED)
def test_a_refused_key_can_be_used_once_it_is_active(service: Service, status: str) -> None:
    service.open(credits=10)
    become(service, status)
    assert service.spend(1, key="k").status == 409

    become(service, "active")

    assert (service.spend(1, key="k").status, service.balance()["credits"]["available"]) == (201, 9)


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_replays_an_old_key(service: Service, status: str) -> None:
    service.open(credits=10)
    first = service.spend(2, key="k")
    become(service, status)

    replay = service.spend(2, key="k")

    assert (replay.status, replay.replayed, replay.text) == (201, True, first.text)
    assert service.spend(3, key="k").code == "idempotency_key_reused"


@pytest.mark.parametrize("status", STOPPED)
def test_a_balance_states_that_the_account_is_stopped(service: Service, status: str) -> None:
    service.open(credits=10, plan="trio", ai_enabled=True)
    become(service, status)

    balance = service.balance()

    assert (balance["status"], balance["credits"]["available"]) == (status, 10)
    assert {(feature["can_use"], feature["units_left"]) for feature in balance["features"].values()} == {(False, 0)}


@pytest.mark.parametrize("status", STOPPED)
def test_a_change_of_status_is_an_entry(service: Service, status: str) -> None:
    service.open(credits=10)
    become(service, status)
    become(service, status)
    become(service, "active")

    entries = service.history(type="plan_change")

    assert [entry["description"] for entry in entries] == [
        f"status {status} to active",
        f"status active to {status}",
        "opened on plan none",
    ]
    assert [(entry["credits"], entry["quota"]) for entry in entries[:2]] == [(0, 0), (0, 0)]


def test_a_plan_and_a_status_change_in_one_entry(service: Service) -> None:
    service.open()

    service(PATCH_ACCOUNT, json={"plan": "trio", "status": "frozen"})

    assert lines(service.stored())[-1]["description"] == "plan none to trio, status active to frozen"


def test_a_put_without_a_status_reopens_nothing(service: Service) -> None:
    """A platform that sets all accounts each night doesn't know the status."""
    account = service.open()
    whole = service(GET_ACCOUNT).body
    del whole["account"], whole["status"]
    become(service, "frozen")

    answer = service(PUT_ACCOUNT, account, json=whole)

    assert (answer.status, answer.body["status"]) == (200, "frozen")
    assert service(PUT_ACCOUNT, json={**whole, "status": "active"}).body["status"] == "active"


def test_an_account_can_be_opened_frozen(service: Service) -> None:
    answer = service(PUT_ACCOUNT, json={"name": "Pet & Cia", "plan": "none", "status": "frozen"})

    assert (answer.status, answer.body["status"], service.spend().code) == (201, "frozen", "account_frozen")


@pytest.mark.parametrize("status", ["open", "", None, 1, ["frozen"]])
def test_an_unknown_status_is_rejected(service: Service, status: object) -> None:
    service.open()

    answer = service(PATCH_ACCOUNT, json={"status": status})

    assert (answer.status, answer.fields) == (422, ["status"])


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_gets_grants_and_voids(service: Service, status: str) -> None:
    service.open()
    become(service, status)

    grant = service.give(10)
    voided = service.void(grant["id"], credits=4)

    assert (voided.status, service.balance()["credits"]["available"]) == (201, 6)


@pytest.mark.parametrize("status", STOPPED)
def test_credits_expire_and_quota_renews_for_a_stopped_account(service: Service, clock: Clock, status: str) -> None:
    service.open(plan="trio", ai_enabled=True)
    service.spend(1, "ai_service")
    service(GRANT, json={"credits": 5, "kind": "promotion", "reason": "x", "valid_months": 1})
    become(service, status)

    clock.now += 40 * DAY
    service.give(1)

    assert types(service.stored())[-3:] == ["expiry", "quota_renewal", "grant"]


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_accounts_past_stays_readable(service: Service, clock: Clock, status: str) -> None:
    service.open(credits=10)
    service.spend(1)
    month = f"{clock.now:%Y-%m}"
    become(service, status)

    assert [entry["type"] for entry in service.history()] == ["plan_change", "consumption", "grant", "plan_change"]
    assert service(STATEMENT, month=month).status == 200
    assert service(GET_ACCOUNT).body["status"] == status
    assert service(PURCHASES).status == 200


# Holds and charges from before it was stopped


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_accounts_hold_can_be_captured(service: Service, status: str) -> None:
    """The credits were reserved, and the work was done, while the account was active."""
    service.open(credits=10)
    hold = service.hold(4).body["id"]
    become(service, status)

    captured = service.capture(hold, 3)

    assert (captured.status, captured.body["credits"], service.balance()["credits"]["held"]) == (200, 3, 0)
    assert (service.balance()["credits"]["available"], service.spend().code) == (7, f"account_{status}")


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_accounts_hold_can_be_released(service: Service, status: str) -> None:
    service.open(credits=10)
    hold = service.hold(4).body["id"]
    become(service, status)

    released = service.release(hold)

    assert (released.status, service.balance()["credits"]["available"]) == (200, 10)


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_accounts_hold_lapses(service: Service, clock: Clock, status: str) -> None:
    service.open(credits=10)
    hold = service.hold(4).body["id"]
    become(service, status)

    clock.now += timedelta(minutes=15)

    assert (service.capture(hold).code, service.balance()["credits"]["available"]) == ("hold_lapsed", 10)


@pytest.mark.parametrize("status", STOPPED)
@pytest.mark.parametrize("charged_by", ["a consumption", "a capture"])
def test_a_stopped_accounts_charge_can_be_reversed(service: Service, status: str, charged_by: str) -> None:
    service.open(credits=10)
    charge = service.spend(4) if charged_by == "a consumption" else service.capture(service.hold(4).body["id"])
    become(service, status)

    part, rest = service.reverse(charge.body["id"], 1), service.reverse(charge.body["id"])

    assert [(answer.status, answer.body["credits"]) for answer in (part, rest)] == [(201, 1), (201, 3)]
    assert service.balance()["credits"]["available"] == 10


# Buying


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_opens_no_manager_session(storefront: Storefront, service: Service, status: str) -> None:
    become(service, status)

    assert (answer := service.try_code()).status == 409
    assert answer.code == f"account_{status}"


def test_a_wrong_code_is_wrong_for_a_frozen_account_too(storefront: Storefront, service: Service) -> None:
    become(service, "frozen")

    tries = [service.try_code("115599").code for _ in range(6)]

    assert tries == ["wrong_code"] * 5 + ["code_locked"]


def test_a_right_code_of_a_frozen_account_clears_its_tries(storefront: Storefront, service: Service) -> None:
    become(service, "frozen")
    for _ in range(4):
        service.try_code("115599")

    service.try_code()

    assert service.try_code("115599").body["tries_left"] == 4


def test_a_frozen_account_replays_an_old_session_key(storefront: Storefront, service: Service) -> None:
    first = service.try_code(key="s")
    become(service, "frozen")

    replay = service.try_code(key="s")

    assert (replay.status, replay.replayed, replay.body) == (201, True, first.body)


@pytest.mark.parametrize("status", STOPPED)
def test_a_stopped_account_buys_nothing(storefront: Storefront, service: Service, status: str) -> None:
    session = service.manager_session()
    become(service, status)

    answer = service.buy(session=session)

    assert (answer.status, answer.code) == (409, f"account_{status}")
    assert service(PURCHASES).body["purchases"] == []
    become(service, "active")
    assert service.buy(session=session).status == 201


def test_a_closed_account_replays_an_old_purchase_key(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    first = service.buy(session=session, key="p")
    become(service, "closed")

    replay = service.buy(session=session, key="p")

    assert (replay.status, replay.replayed, replay.text) == (201, True, first.text)


def test_a_purchase_without_a_page_gets_none_once_frozen(storefront: Storefront, service: Service) -> None:
    session = service.manager_session()
    with killed_before(service.table.client, "POST /v1/checkout/sessions"):
        service.buy(session=session, key="p")
    become(service, "frozen")

    refused = service.buy(session=session, key="p")
    become(service, "active")

    assert refused.code == "account_frozen"
    assert service.buy(session=session, key="p").body["state"] == "open"


@pytest.mark.parametrize("status", STOPPED)
def test_a_payment_that_still_arrives_is_granted(storefront: Storefront, service: Service, status: str) -> None:
    purchase = storefront.buy()
    become(service, status)

    storefront.deliver_all(storefront.pay(purchase))

    assert service(PURCHASE, id=purchase.id).body["state"] == "granted"
    assert (service.balance()["credits"]["available"], service.spend().code) == (100, f"account_{status}")


def test_a_refund_to_a_stopped_account_revokes_credits(storefront: Storefront, service: Service) -> None:
    purchase = storefront.buy()
    storefront.deliver_all(storefront.pay(purchase))
    become(service, "closed")

    storefront.deliver_all(storefront.refund(purchase))

    assert service.balance()["credits"]["available"] == 0


def test_an_open_purchase_of_a_closed_account_can_be_cancelled(storefront: Storefront, service: Service) -> None:
    purchase = service.buy().body["id"]
    become(service, "closed")

    assert service(CANCEL, id=purchase).body["state"] == "cancelled"


def test_a_malformed_request_of_a_frozen_account_is_invalid(service: Service) -> None:
    """What is malformed is refused as malformed, whatever the account's status."""
    service.open()
    become(service, "frozen")

    assert service(CONSUME, json={"feature": "sticker", "quantity": 0}).code == "invalid_request"
    assert service(BUY, json={}, headers={"manager-session": "x"}).code == "invalid_request"
