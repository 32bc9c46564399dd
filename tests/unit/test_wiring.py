"""What a process draws, and what it logs, when it starts."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from prepaid import wiring
from prepaid.settings import from_environment
from tests.support.apps import LEAST_ENVIRONMENT


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], None]]:
    """What a function registers with Lambda's runtime to be called after each restore."""
    registered: list[Callable[[], None]] = []
    runtime = SimpleNamespace(register_after_restore=registered.append)
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", runtime)
    for name, value in LEAST_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return registered


def test_copies_of_one_snapshot_draw_different_pauses(
    hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    jitter = wiring.build(from_environment()).table.deadline.jitter
    snapshot = random.getstate()

    drawn = []
    for _ in range(2):
        random.setstate(snapshot)
        for restored in hooks:
            restored()
        drawn.append([jitter() for _ in range(4)])

    assert drawn[0] != drawn[1]


def test_other_starts_register_nothing(hooks: list[Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")

    wiring.build(from_environment())

    assert hooks == []


@pytest.mark.parametrize("level", ["INFO", "ERROR"])
def test_the_log_level_is_the_templates_not_lambdas_filter(level: str) -> None:
    code = "from prepaid.telemetry import logger; import logging; print(logger.log_level, logging.getLogger().level)"
    environment = os.environ | {"AWS_LAMBDA_LOG_LEVEL": "INFO", "LOG_LEVEL": level}

    printed = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    number = {"INFO": "20", "ERROR": "40"}[level]
    assert printed.stdout.split() == [number, "30"]
