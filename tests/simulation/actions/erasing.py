"""Erasures of a customer's texts."""

from tests.simulation.actions.asking import account_of, ask, new_key
from tests.simulation.frames import ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import World
from tests.support.api import ERASE
from tests.support.gateway_events import ADMIN


def erase(world: World, step: Step) -> None:
    """Of a customer whom debits or holds name, or of one whom nothing names."""
    account = account_of(step)
    ask(world, step, erasure_of(account, new_key(world), f"{step['whom']} of {account}"))


def erasure_of(account: str, key: str, customer: str) -> ClientRequest:
    return ClientRequest(
        "erase",
        ERASE,
        account,
        {"customer": customer},
        key,
        ADMIN,
        details={"customer": customer},
        signature=("erasure", customer),
    )
