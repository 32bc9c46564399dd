"""The check of every answer, and the one of each kind of request."""

from typing import TYPE_CHECKING

from tests.oracle.expectation import must
from tests.oracle.rows import EXPIRES_AT
from tests.simulation.answers.administration import check_catalog, check_patch_account, check_put_account
from tests.simulation.answers.answer_check import AnswerCheck
from tests.simulation.answers.batches import check_batch
from tests.simulation.answers.buying import check_buy, check_cancel, check_code, check_unlock
from tests.simulation.answers.deliveries import check_deliver
from tests.simulation.answers.holds import check_ending, check_erase, check_hold
from tests.simulation.answers.reading import (
    check_accounts,
    check_balance,
    check_find,
    check_history,
    check_purchases,
    check_quote,
    check_show,
    check_usage,
)
from tests.simulation.answers.spending import check_debit, check_grant, check_void

if TYPE_CHECKING:
    from tests.simulation.frames import Answer, Frame
    from tests.simulation.world import World

UNANSWERED = 503
ASK_AGAIN = {"payments_unavailable", "busy", "payment_provider_refused"}
CHECKS = {
    "debit": check_debit,
    "batch": check_batch,
    "hold": check_hold,
    "capture": check_ending,
    "release": check_ending,
    "reverse": check_ending,
    "erase": check_erase,
    "grant": check_grant,
    "void": check_void,
    "put_account": check_put_account,
    "patch_account": check_patch_account,
    "catalog": check_catalog,
    "balance": check_balance,
    "quote": check_quote,
    "list_accounts": check_accounts,
    "find": check_find,
    "history": check_history,
    "usage": check_usage,
    "list_purchases": check_purchases,
    "show": check_show,
    "code": check_code,
    "unlock": check_unlock,
    "buy": check_buy,
    "cancel": check_cancel,
    "deliver": check_deliver,
}


def check(world: "World", frame: "Frame", answer: "Answer") -> None:
    """Compare an answer with what the oracle gives. Raises Broken."""
    status, kind = answer.status, frame.step.kind
    if frame.first_number:
        state = world.auditor.ledgers[frame.account or ""].states[frame.first_number - 1]
        if state.lots and state.lots[0][EXPIRES_AT] == frame.now:
            world.seen[f"boundary: {kind} {status} at the instant a lot ends"] += 1
        if state.renews_at == frame.now:
            world.seen[f"boundary: {kind} {status} at the instant the quota renews"] += 1
    about = f"{kind} answered {status} {answer.code}"
    if status >= 500:
        expected = frame.troubled and status == UNANSWERED and answer.code in ASK_AGAIN
        must(expected, f"{about}; met {frame.met}, raised {frame.error!r}")
        return
    if status >= 400:
        # Tries of a code are counted before they are compared: the one write that goes with a refusal.
        written = (
            frame.written - {"MANAGER", "CUSTOMER"} if kind in {"code", "unlock", "buy"} else frame.written - {"WAIT"}
        )
        if kind == "cancel":
            # The intention is written before the page is closed, and the customer may pay in between.
            written = written - {"PURCHASE"}
        must(not written, f"{about}, and wrote {written}")
    CHECKS[kind](AnswerCheck(world, frame, answer, about))
