"""What the attacks need: the functions' own test bench."""

from tests.functions.conftest import aws, table
from tests.support.handler_fixtures import apps, clock, deployment, fake, output, running_fake, service, till

__all__ = [
    "apps",
    "aws",
    "clock",
    "deployment",
    "fake",
    "output",
    "running_fake",
    "service",
    "table",
    "till",
]
