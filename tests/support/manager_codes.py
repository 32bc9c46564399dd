"""Short ways to set, try and count managers' codes."""

from datetime import datetime
from hashlib import scrypt
from threading import Lock
from typing import Any

import pytest

from prepaid.core.errors import CodeLocked, WrongCode
from prepaid.core.manager_code import ManagerSession
from prepaid.use_cases import approving
from prepaid.use_cases.approving import change_code, check_code, require_session
from tests.support.store_driver import CODES, NOW, StoreDriver, stored, until_told

CODE, WRONG = "482915", "482916"
RECORD = ("ACCOUNT#acme", "MANAGER")


class Comparisons:
    """How often the slow function was asked, without its slowness unless it matters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self._lock = Lock()
        monkeypatch.setattr(approving, "scrypt", self._counted)

    def _counted(self, password: bytes, **parameters: Any) -> bytes:
        with self._lock:
            self.made += 1
        return scrypt(password, **{**parameters, "n": 2})


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    return Comparisons(monkeypatch)


def set_code(
    driver: StoreDriver, code: str, current: str | None = None, *, account: str = "acme", at: datetime = NOW
) -> None:
    change_code(driver.table, account, code, current, CODES, now=at)


def try_code(driver: StoreDriver, code: str, *, at: datetime = NOW, account: str = "acme") -> str:
    """right, wrong or locked."""
    try:
        until_told(lambda: check_code(driver.table, account, code, CODES, now=at))
    except WrongCode:
        return "wrong"
    except CodeLocked:
        return "locked"
    return "right"


def require(driver: StoreDriver, token: str, account: str = "acme", at: datetime = NOW) -> ManagerSession:
    return require_session(driver.table, account, token, now=at)


def number(driver: StoreDriver, name: str) -> int:
    return int(stored(driver.table)[RECORD][name]["N"])
