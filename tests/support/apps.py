"""The functions' own files, loaded by their paths as Lambda does, and what they print."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from prepaid.telemetry import logger

FUNCTIONS = Path(__file__).parents[2] / "functions"
# What a function can't start without, where a test names nothing else.
LEAST_ENVIRONMENT = {
    "TABLE_NAME": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
METRICS_ENVIRONMENT = {"POWERTOOLS_SERVICE_NAME": "prepaid-test", "POWERTOOLS_METRICS_NAMESPACE": "Prepaid"}


def load_app(name: str) -> ModuleType:
    """A new module of functions/<name>/app.py each time, so that no two tests share its state."""
    spec = spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with mock.patch.dict(os.environ, LEAST_ENVIRONMENT | os.environ):
        spec.loader.exec_module(module)
    return module


def routes_of(app: ModuleType) -> tuple[Any, ...]:
    """All routes that a function serves; none for a function with a schedule or a queue."""
    more = getattr(app, "more_routes", tuple)
    return (*getattr(app, "ROUTES", ()), *more())


@contextmanager
def silenced(level: str = "CRITICAL") -> Iterator[None]:
    """For the length of a with block the functions log only from this level, and what they print goes nowhere."""
    before = logger.log_level
    logger.setLevel(level)
    try:
        with (
            Path(os.devnull).open("w") as nowhere,
            redirect_stdout(nowhere),
            mock.patch.dict(os.environ, METRICS_ENVIRONMENT),
        ):
            yield
    finally:
        logger.setLevel(before)
