"""Checks each answer against the oracle: every status has its reason, and every number in a body is computed again.

A response may be about any state that the account had while the request ran, because other requests act in between.
"""

from tests.simulation.answers.checking import check

__all__ = ["check"]
