"""The functions' own files, loaded by their paths as Lambda does."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

FUNCTIONS = Path(__file__).parents[2] / "functions"


def load_app(name: str) -> ModuleType:
    """A new module of functions/<name>/app.py each time: nobody shares its state."""
    spec = spec_from_file_location(f"function_{name}", FUNCTIONS / name / "app.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
