"""What each kind of step does in the present world: which request, to which account, with which key."""

from collections.abc import Callable

from tests.simulation.actions.administration import catalog, patch_account, put_account, skew
from tests.simulation.actions.buying import buy, cancel, code, unlock
from tests.simulation.actions.erasing import erase
from tests.simulation.actions.holds import capture, hold, release, reverse
from tests.simulation.actions.reading import balance, find, history, list_accounts, list_purchases, quote, show, usage
from tests.simulation.actions.schedules import boundary, reconcile, sweep, wait
from tests.simulation.actions.spending import again, batch, debit, grant, void
from tests.simulation.actions.stripe import deliver, dispute, dispute_ends, lose, pay, refund, refund_ends
from tests.simulation.step import Step
from tests.simulation.world import World

ACTIONS: dict[str, Callable[[World, Step], None]] = {
    action.__name__: action
    for action in (
        debit,
        grant,
        void,
        hold,
        capture,
        release,
        reverse,
        erase,
        again,
        batch,
        quote,
        find,
        balance,
        history,
        usage,
        list_purchases,
        list_accounts,
        show,
        put_account,
        patch_account,
        catalog,
        skew,
        code,
        unlock,
        buy,
        cancel,
        pay,
        refund,
        refund_ends,
        dispute,
        dispute_ends,
        deliver,
        lose,
        sweep,
        reconcile,
        wait,
        boundary,
    )
}


def act(world: World, step: Step) -> None:
    """Carry out a step."""
    ACTIONS[step.kind](world, step)
