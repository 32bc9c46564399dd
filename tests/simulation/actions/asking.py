"""How a client sends a request, and keeps it for retries."""

from tests.simulation.frames import Answer, ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import KEPT_REQUESTS, World

# The statuses after which a client retries; None: it got no response.
WAITING = {None, 503}


def account_of(step: Step) -> str:
    """The account's id. Every text of its requests contains it: no response to another account may."""
    return f"shop-{step.of}"


def ask(world: World, step: Step, request: ClientRequest) -> Answer | None:
    """A client's request, kept for its retries."""
    slot: list[Answer | None] = [None]
    if request.key:
        world.requests.append((request, slot))
        del world.requests[:-KEPT_REQUESTS]
    slot[0] = answer = world.ask(step, request)
    if answer and request.kind == "unlock" and answer.status == 201:
        world.tokens.setdefault(request.account, []).append(answer.body["manager_session"])
    return answer


def new_key(world: World) -> str:
    world.keys += 1
    return f"key-{world.keys}"
