"""The functions' own files, loaded by their paths as Lambda does."""

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from unittest import mock

FUNCTIONS = Path(__file__).parents[2] / "functions"
# What a function can't start without, where a test names nothing else.
LEAST_ENVIRONMENT = {
    "TABLE_NAME": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def load_app(name: str) -> ModuleType:
    """A new module of functions/<name>/app.py each time, so that no two tests share its state."""
    spec = spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    with mock.patch.dict(os.environ, LEAST_ENVIRONMENT | os.environ):
        spec.loader.exec_module(module)
    return module
