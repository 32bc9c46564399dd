"""Checks each answer against the oracle: every status has its reason, and every number in a body is computed again.

An answer may be about any state of the account while the request ran: other requests act in between.
"""

from tests.simulation.answers.checking import check

__all__ = ["check"]
