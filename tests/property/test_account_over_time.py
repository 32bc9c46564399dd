"""An account's whole life against the oracle: time jumps, lots tie, prices change, clocks go back."""

from hypothesis import settings

from tests.support.account_over_time import AccountOverTime

# One such life is worth many single examples.
AccountOverTime.TestCase.settings = settings(max_examples=2 * settings().max_examples, stateful_step_count=40)
TestAccountOverTime = AccountOverTime.TestCase
