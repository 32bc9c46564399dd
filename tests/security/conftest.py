"""What the attacks need: the functions' own test bench."""

from tests.functions.conftest import apps, clock, deployed, fake, output, quick_codes, running_fake, service, till

__all__ = [
    "apps",
    "clock",
    "deployed",
    "fake",
    "output",
    "quick_codes",
    "running_fake",
    "service",
    "till",
]
