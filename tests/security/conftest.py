"""What the attacks need: the functions' own test bench."""

from tests.functions.conftest import apps, clock, deployed, fake, output, quick_codes, running_fake, service, till
from tests.store.conftest import cloud, table_name, theirs

__all__ = [
    "apps",
    "clock",
    "cloud",
    "deployed",
    "fake",
    "output",
    "quick_codes",
    "running_fake",
    "service",
    "table_name",
    "theirs",
    "till",
]
