"""Every kind of request to every function: the situation before it, the request, and its rival.

One module per area, each with its SCENARIOS; scenario.py has what they share.
"""

from tests.simulation.scenarios import administration, buying, page, reading, schedules, spending
from tests.simulation.scenarios.scenario import Outcome, Scenario

__all__ = ["SCENARIOS", "Outcome", "Scenario"]

SCENARIOS = (
    *spending.SCENARIOS,
    *reading.SCENARIOS,
    *administration.SCENARIOS,
    *buying.SCENARIOS,
    *schedules.SCENARIOS,
    *page.SCENARIOS,
)
