"""Processes that end in the middle of a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Killed(BaseException):
    """What no handler catches: the function is gone."""


@contextmanager
def killed_in(target: str) -> Iterator[None]:
    """For the length of a with block whoever calls the target dies, and somebody does."""

    def dies(*_: Any, **__: Any) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, dies)
        with pytest.raises(Killed):
            yield
