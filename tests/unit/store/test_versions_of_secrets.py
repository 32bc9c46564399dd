"""A secret with several versions: its text, its current version, and what is still accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prepaid.api.http.cursors import read_cursor, sign_cursor
from prepaid.api.http.problems import CursorInvalid
from prepaid.store.secrets import Secret, Versions, versions_of
from tests.support.store_driver import NO_DEADLINE, FakeTime

VALUES = st.text("abcdef", min_size=1, max_size=4)


def test_a_plain_text_is_the_first_version() -> None:
    assert versions_of("a pepper") == {1: "a pepper"}


def test_an_object_holds_its_versions() -> None:
    assert versions_of('{"1": "old", "2": "new"}') == {1: "old", 2: "new"}


def test_an_empty_value_is_a_removed_version() -> None:
    """Otherwise everybody would know it."""
    assert versions_of('{"1": "", "2": "new"}') == {2: "new"}


@pytest.mark.parametrize("text", ["{}", '{"1": ""}', '{"0": "x"}', '{"-1": "x"}', '{"pepper": "x"}', "{"])
def test_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"at least one version|invalid literal|property name"):
        versions_of(text)


@given(st.dictionaries(st.integers(1, 12), VALUES, min_size=1))
def test_the_highest_version_is_current_and_first(values: dict[int, str]) -> None:
    """Ten is higher than nine."""
    versions = Versions(values)

    assert versions.current == max(values)
    assert next(versions.accepted()) == values[max(values)] == versions.value(versions.current)
    assert sorted(versions.accepted()) == sorted(values.values())


def test_an_unknown_version_is_looked_for_once_more() -> None:
    versions = Versions({1: "old"}, lambda: {1: "old", 2: "new"})

    assert (versions.value(2), versions.value(1), versions.value(3)) == ("new", "old", "old")
    assert list(versions.accepted()) == ["old", "new"]


def test_a_known_version_needs_no_second_read() -> None:
    def again() -> dict[int, str]:
        raise AssertionError("read twice")

    versions = Versions({1: "old", 2: "new"}, again)

    assert versions.value(1) == "old"
    assert next(versions.accepted()) == "new"


@given(st.dictionaries(st.integers(1, 4), VALUES, min_size=1), st.dictionaries(st.integers(1, 4), VALUES, min_size=1))
def test_a_cursor_is_valid_while_its_secret_is_held(then: dict[int, str], now: dict[int, str]) -> None:
    cursor = sign_cursor("7", "history", "acme", {}, Versions(then))

    if then[max(then)] in now.values():
        assert read_cursor(cursor, "history", "acme", {}, Versions(now)) == "7"
    else:
        with pytest.raises(CursorInvalid):
            read_cursor(cursor, "history", "acme", {}, Versions(now))


def test_a_cursor_of_a_newer_process_is_valid() -> None:
    newer = {1: "old", 2: "new"}
    cursor = sign_cursor("7", "history", "acme", {}, Versions(newer))

    assert read_cursor(cursor, "history", "acme", {}, Versions({1: "old"}, lambda: newer)) == "7"


def test_nobody_makes_a_function_read_its_secret_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    time, reads = FakeTime(), []

    class Client:
        def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803 - AWS's name
            reads.append(SecretId)
            return {"SecretString": f"text {len(reads)}"}

    monkeypatch.setattr("boto3.client", lambda *_, **__: Client())
    secret = Secret("pepper", time.clock)
    assert secret(NO_DEADLINE) == "text 1"

    assert [secret.read_again(NO_DEADLINE) for _ in range(5)] == ["text 1"] * 5
    time.now += 10
    assert [secret.read_again(NO_DEADLINE) for _ in range(5)] == ["text 2"] * 5
    assert secret(NO_DEADLINE) == "text 2"
