"""Short ways to set, try and count managers' codes."""

from dataclasses import replace
from datetime import datetime
from threading import Lock

import pytest

from prepaid.core.errors import CodeLocked, WrongCode
from prepaid.core.manager_code import ManagerSession
from prepaid.use_cases.approving import CodeSecrets, change_code, check_code, require_session
from tests.support.store_driver import CODES, NOW, StoreDriver, stored, until_answered

CODE, WRONG = "482915", "482916"
RECORD = ("ACCOUNT#acme", "MANAGER")


class Comparisons:
    """Counts the calls of the slow hash. codes: compare with these, so that calls are counted."""

    def __init__(self) -> None:
        self.count = 0
        self.codes = replace(CODES, slow_digest=self._counted)
        self._lock = Lock()

    def _counted(self, peppered: bytes, salt: bytes) -> bytes:
        with self._lock:
            self.count += 1
        return CODES.slow_digest(peppered, salt)


@pytest.fixture
def comparisons() -> Comparisons:
    return Comparisons()


def set_code(
    driver: StoreDriver,
    code: str,
    current: str | None = None,
    *,
    account: str = "acme",
    codes: CodeSecrets = CODES,
    at: datetime = NOW,
) -> None:
    change_code(driver.table, account, code, current, codes, now=at)


def try_code(
    driver: StoreDriver, code: str, *, at: datetime = NOW, account: str = "acme", codes: CodeSecrets = CODES
) -> str:
    """right, wrong or locked."""
    try:
        until_answered(lambda: check_code(driver.table, account, code, codes, now=at))
    except WrongCode:
        return "wrong"
    except CodeLocked:
        return "locked"
    return "right"


def require(driver: StoreDriver, token: str, account: str = "acme", at: datetime = NOW) -> ManagerSession:
    return require_session(driver.table, account, token, now=at)


def number(driver: StoreDriver, name: str) -> int:
    return int(stored(driver.table)[RECORD][name]["N"])
