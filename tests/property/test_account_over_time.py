"""An account's whole history against the oracle: time jumps, lots end together, prices change, clocks go back."""

from hypothesis import settings

from tests.support.account_over_time import AccountOverTime

# One such history covers as much as many single examples.
AccountOverTime.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)
TestAccountOverTime = AccountOverTime.TestCase
