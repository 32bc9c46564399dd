"""A header that came twice, joined with a comma as API Gateway does: it has one meaning for every part of the
service."""

import json

from tests.support.api import BUY, GET_CATALOG, PUT_CATALOG
from tests.support.gateway_events import ADMIN, BUYER
from tests.support.in_process import Service


def test_two_key_headers_are_one_joined_key(service: Service) -> None:
    service.open(credits=5)

    answers = [service.spend(key=key) for key in ("first,second", "first,second", "first", "second", "second,first")]

    assert [answer.status for answer in answers] == [201] * 5
    assert ["idempotent-replayed" in answer.headers for answer in answers] == [False, True, False, False, False]


def test_two_key_headers_joined_with_a_space_are_rejected(service: Service) -> None:
    service.open(credits=3)
    before = service.stored()

    answer = service.spend(key="first, second")

    assert (answer.status, answer.code) == (400, "idempotency_key_invalid")
    assert service.stored() == before


def test_two_manager_session_headers_are_rejected(service: Service) -> None:
    service.open()
    service.set_code()
    good = service.manager_session()
    before = service.stored()

    for both in (f"{good},{good}", f"{good}, {good}", f"x,{good}", f"{good},", f" {good}"):
        answer = service(BUY, json={"pack": "credits-50"}, headers={"manager-session": both}, by=BUYER)
        assert (answer.status, answer.code) == (403, "manager_session_invalid"), both

    assert service.stored() == before


def test_two_if_match_headers_are_rejected(service: Service) -> None:
    catalog = service(GET_CATALOG).body
    version = catalog.pop("version")
    before = service.stored()

    for both in (
        f'"{version}","{version}"',
        f"{version},{version}",
        f"{version}, {version + 1}",
        f'W/"{version}"',
        "*",
    ):
        answer = service(PUT_CATALOG, body=json.dumps(catalog), headers={"if-match": both}, by=ADMIN)
        assert (answer.status, answer.fields) == (422, ["If-Match"]), both

    assert service.stored() == before
