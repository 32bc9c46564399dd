"""How a client asks, and keeps what it asked for its retries."""

from tests.simulation.frames import Answer, ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import KEPT_REQUESTS, World

# The statuses after which a client asks again; None: it got no answer.
WAITING = {None, 503}


def account_of(step: Step) -> str:
    """The account's id. Every text of its requests has it: no answer to another account may show it."""
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
