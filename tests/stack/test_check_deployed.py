"""`make check-deployed` on the local stack, as far as an emulator goes: all that it misses is what only AWS has."""

import re

from deployment import check
from local.cloud import CALLS_AT_ONCE
from local.stack import Stack

# A local stack keeps no data, and nobody hears its alarms. The emulator ignores two settings of the template's table,
# and this machine runs few functions at once.
LACKING = [
    "stack: the stack can be deleted: make deploy switches termination protection on",
    "stack: the stack's policy isn't deployment/stack-policy.json, which protects the table: make deploy sets it",
    f"quotas: ConcurrencyAlarm=800 isn't below the account's quota, {CALLS_AT_ONCE}: raise it, or set 12",
    "alarms: NOBODY RECEIVES THE ALARMS: set AlarmEmail in samconfig.toml",
    "table: the table TABLE can be deleted: switch its deletion protection on",
    "table: the table TABLE can't be restored to a point in time: switch point-in-time recovery on",
    "table: the table TABLE keeps ended sessions: switch TTL on for the attribute ttl",
]


def test_a_local_stack_lacks_only_what_it_is_meant_to_lack(stack: Stack) -> None:
    deployed = check.local(stack.file.stem)

    found = [re.sub(re.escape(stack.addresses.table_name), "TABLE", sentence) for sentence in check.missing(deployed)]

    assert found == LACKING
    assert len(check.expected_routes(deployed.template)) > 40


def test_callers_reach_published_versions(stack: Stack) -> None:
    functions = check.local(stack.file.stem).client("lambda")

    for name, physical in stack.deployed.resources.items():
        if name.endswith("Function"):
            alias = functions.get_alias(FunctionName=physical, Name=check.ALIAS)
            assert alias["FunctionVersion"].isdecimal()
