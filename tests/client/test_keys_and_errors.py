"""Keys that are derived from the work, and errors that job queues pass between processes."""

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prepaid_client import InsufficientCredits, Refused, Unavailable, key_of
from prepaid_client.errors import refusal

PARTS = st.lists(st.text(), min_size=1).filter(any)


@given(PARTS, PARTS)
def test_each_work_has_a_key_of_its_own(parts: list[str], other: list[str]) -> None:
    keys = key_of(*parts), key_of(*other)

    assert (keys[0] == keys[1]) == (parts == other)
    assert all(re.fullmatch(r"[!-~]{1,200}", key) for key in keys)


def test_a_key_is_readable_and_stable() -> None:
    assert key_of("sticker", 4711) == "sticker:4711"
    assert key_of("a:b", "ç") == "a%3Ab:%C3%A7"
    with pytest.raises(ValueError, match="at least one part"):
        key_of("")


def test_errors_survive_a_job_queue() -> None:
    refused = refusal(402, {"code": "insufficient_credits", "needed": 3, "available": 1})
    lost = Unavailable("no answer", may_have_happened=True, key="k", code="busy", retry_after=2.0)

    refused, lost = pickle.loads(pickle.dumps((refused, lost)))  # noqa: S301 - our own

    assert isinstance(refused, InsufficientCredits)
    assert refused.needed == 3
    assert (lost.may_have_happened, lost.key, lost.code, lost.retry_after) == (True, "k", "busy", 2.0)


def test_a_code_of_a_later_version_is_a_refusal() -> None:
    error = refusal(409, {"code": "something_new", "detail": "Not now."})

    assert type(error) is Refused
    assert str(error) == "409 something_new: Not now."
