"""Where a function itself looks at scopes, it compares whole names: only prepaid/admin sets a manager's code anew."""

from typing import Any

import pytest

from tests.support.api import CODE, MANAGER_CODE, MANAGER_SESSION
from tests.support.gateway_events import BUYER
from tests.support.in_process import Service

NOT_ADMIN: list[Any] = [
    "",
    "prepaid/buy",
    "PREPAID/ADMIN",
    "Prepaid/Admin",
    "prepaid/admin2",
    "xprepaid/admin",
    "prepaid/admi",
    "prepaid/ad min",
    "prepaid/admin/",
    "prepaid//admin",
    "prepaid/*",
    "*",
    "other/prepaid/admin",
    "prepaid/adm\u0131n",
    "prepaid/admin\u200b",
    ["prepaid/buy"],
    {"prepaid/admin": False},
    None,
    0,
]


@pytest.mark.parametrize("scope", NOT_ADMIN, ids=ascii)
@pytest.mark.parametrize("name", ["scope", "scp"])
def test_a_scope_similar_to_admin_grants_nothing(service: Service, name: str, scope: Any) -> None:
    service.open()
    service.set_code()
    before = service.stored()
    claims: dict[str, Any] = {"client_id": "page", name: scope}

    answer = service(MANAGER_CODE, json={"code": "271829"}, by=claims)

    assert (answer.status, answer.code) == (403, "forbidden")
    assert service.stored() == before
    assert service(MANAGER_SESSION, json={"code": CODE}, by=BUYER).status == 201


@pytest.mark.parametrize("scope", ["prepaid/admin", "prepaid/buy prepaid/admin", "[prepaid/buy prepaid/admin]"])
@pytest.mark.parametrize("name", ["scope", "scp"])
def test_the_admin_scope_is_found_in_each_form_of_a_list(service: Service, name: str, scope: str) -> None:
    service.open()

    assert service(MANAGER_CODE, json={"code": "271829"}, by={"client_id": "a", name: scope}).status == 204
