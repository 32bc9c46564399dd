"""Short ways to set, try and count managers' codes."""

from datetime import datetime
from hashlib import scrypt
from threading import Lock
from typing import Any

import pytest

from prepaid.core.errors import CodeLocked, WrongCode
from prepaid.core.manager_code import ManagerSession
from prepaid.store import managers
from prepaid.store.managers import change_code, check_code, require_session
from tests.support.store_driver import NOW, PEPPER, Desk, stored, until_told

CODE, WRONG = "482915", "482916"
RECORD = ("ACCOUNT#acme", "MANAGER")


class Comparisons:
    """How often the slow function was asked, without its slowness unless it matters."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self._lock = Lock()
        monkeypatch.setattr(managers, "scrypt", self._counted)

    def _counted(self, password: bytes, **parameters: Any) -> bytes:
        with self._lock:
            self.made += 1
        return scrypt(password, **{**parameters, "n": 2})


@pytest.fixture(autouse=True)
def comparisons(monkeypatch: pytest.MonkeyPatch) -> Comparisons:
    return Comparisons(monkeypatch)


def set_code(desk: Desk, code: str, current: str | None = None, *, account: str = "acme", at: datetime = NOW) -> None:
    change_code(desk.table, account, code, current, PEPPER, now=at, patience=desk.patience)


def try_code(desk: Desk, code: str, *, at: datetime = NOW, account: str = "acme") -> str:
    """right, wrong or locked."""
    try:
        until_told(lambda: check_code(desk.table, account, code, PEPPER, now=at, patience=desk.patience))
    except WrongCode:
        return "wrong"
    except CodeLocked:
        return "locked"
    return "right"


def require(desk: Desk, token: str, account: str = "acme", at: datetime = NOW) -> ManagerSession:
    return require_session(desk.table, account, token, now=at, patience=desk.patience)


def number(desk: Desk, name: str) -> int:
    return int(stored(desk.table)[RECORD][name]["N"])
