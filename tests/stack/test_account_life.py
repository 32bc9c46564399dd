"""A credit is bought, spent and expires."""

from datetime import timedelta

from tests.support.account_life import Bought, Expired, Spent
from tests.support.api import BALANCE
from tests.support.over_http import HttpApi
from tests.support.payment_page import StackStorefront

TICK = timedelta(milliseconds=1)


def test_a_pack_paid_by_card_on_the_page_becomes_a_lot(bought: Bought, cashier: StackStorefront) -> None:
    assert bought.before["credits"]["lots"] == []
    assert 'class="notice paid"' in bought.page
    assert bought.after["credits"]["available"] == 50
    [lot] = bought.after["credits"]["lots"]
    assert (lot["kind"], lot["granted"], lot["remaining"]) == ("purchase", 50, 50)
    assert bought.after["credits"]["next_expiry_at"] == lot["expires_at"]
    assert cashier.state(bought.account, bought.shop) == "granted"


def test_a_new_account_can_use_its_quota_at_once(bought: Bought) -> None:
    assert (
        bought.before["quotas"][0].items()
        >= {"feature": "ai_service", "limit": 100, "used": 0, "remaining": 100}.items()
    )
    assert bought.before["features"]["ai_service"] == {"price": 1, "can_use": True, "units_left": 100}
    assert bought.before["features"]["sticker"] == {"price": 1, "can_use": False, "units_left": 0}
    assert bought.after["features"]["ai_service"]["units_left"] == 150


def test_a_service_is_paid_by_quota_first(spent: Spent) -> None:
    answer = spent.by_quota

    assert answer.status == 201
    assert answer.body["draws"] == [{"source": "quota", "feature": "ai_service", "units": 98}]
    assert (answer.body["quota"], answer.body["credits"]) == (98, 0)
    assert answer.body["balance"] == {"available": 50, "quota_remaining": 2}


def test_one_debit_takes_the_rest_of_the_quota_and_then_credits(spent: Spent, bought: Bought) -> None:
    answer = spent.by_both

    [lot] = bought.after["credits"]["lots"]
    assert answer.status == 201
    assert answer.body["draws"] == [
        {"source": "quota", "feature": "ai_service", "units": 2},
        {"source": "lot", "lot": lot["lot"], "credits": 3, "expires_at": lot["expires_at"]},
    ]
    assert answer.body["balance"] == {"available": 47, "quota_remaining": 0}


def test_a_sticker_takes_credits(spent: Spent) -> None:
    assert spent.by_credits.status == 201
    assert (spent.by_credits.body["quota"], spent.by_credits.body["credits"]) == (0, 40)


def test_a_refused_service_names_both_remedies(spent: Spent, bought: Bought) -> None:
    answer = spent.refused_service

    assert (answer.status, answer.code) == (402, "insufficient_credits")
    assert (answer.body["needed"], answer.body["available"], answer.body["quota_remaining"]) == (8, 7, 0)
    assert answer.body["suggested_pack"] == "credits-50"
    assert answer.body["renews_at"] == bought.before["quotas"][0]["renews_at"]


def test_a_refused_sticker_names_no_renewal(spent: Spent) -> None:
    answer = spent.refused_sticker

    assert (answer.status, answer.code) == (402, "insufficient_credits")
    assert answer.body["suggested_pack"] == "credits-50"
    assert answer.body["renews_at"] is None


def test_a_retry_of_the_last_debit_gets_its_response(spent: Spent) -> None:
    assert spent.last.status == 201
    assert spent.last.body["balance"]["available"] == 0
    assert not spent.last.replayed
    assert spent.last_repeated.replayed
    assert (spent.last_repeated.status, spent.last_repeated.text) == (201, spent.last.text)


def test_nothing_can_be_used_when_all_is_spent(spent: Spent) -> None:
    assert spent.empty["credits"] == {"available": 0, "held": 0, "owed": 0, "next_expiry_at": None, "lots": []}
    assert (spent.empty["quotas"][0]["used"], spent.empty["quotas"][0]["remaining"]) == (100, 0)
    assert {name: (feature["can_use"], feature["units_left"]) for name, feature in spent.empty["features"].items()} == {
        "sticker": (False, 0),
        "ai_service": (False, 0),
    }


def test_a_refused_key_succeeds_once_there_are_credits(expired: Expired) -> None:
    assert expired.refused_repeated.status == 201
    assert not expired.refused_repeated.replayed
    assert expired.refused_repeated.body["draws"][0]["lot"] == expired.lot["lot"]


def test_a_lot_is_not_spent_from_the_instant_it_expires(expired: Expired) -> None:
    before = [attempt.answer for attempt in expired.tries if attempt.answer.status == 201]
    after = [attempt.answer for attempt in expired.tries if attempt.sent_at >= expired.expires_at]

    assert after
    assert {(answer.status, answer.code, answer.body["available"]) for answer in after} == {
        (402, "insufficient_credits", 0)
    }
    assert all(answer.body["created_at"] < expired.lot["expires_at"] for answer in (expired.refused_repeated, *before))
    assert expired.balance["credits"]["available"] == 0
    assert expired.balance["credits"]["lots"] == []


def test_an_expired_lot_is_not_available(api: HttpApi, bought: Bought, expired: Expired) -> None:
    """A millisecond earlier it is whole."""
    unspent = 500 - 8 - sum(attempt.answer.status == 201 for attempt in expired.tries)

    before = api.balance(bought.account, at=(expired.expires_at - TICK).isoformat())
    at_the_end = api.balance(bought.account, at=expired.expires_at.isoformat())

    assert [(lot["lot"], lot["remaining"]) for lot in before["credits"]["lots"]] == [(expired.lot["lot"], unspent)]
    assert before["features"]["sticker"] == {"price": 1, "can_use": True, "units_left": unspent}
    assert at_the_end["credits"]["lots"] == []
    assert at_the_end["features"]["sticker"] == {"price": 1, "can_use": False, "units_left": 0}


def test_a_balance_at_a_future_time_is_rejected(api: HttpApi, bought: Bought) -> None:
    answer = api(BALANCE, bought.account, query={"at": "2999-01-01T00:00:00Z"})

    assert (answer.status, answer.code) == (422, "invalid_request")
