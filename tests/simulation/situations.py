"""The situations that histories must meet: a generator that never meets them proves nothing."""

from collections import Counter
from typing import TYPE_CHECKING

from tests.oracle.account import State
from tests.oracle.calendar import WEEK
from tests.oracle.catalog import Json
from tests.oracle.effects import SERVICE
from tests.oracle.ledger import Ledger
from tests.oracle.rows import EXPIRES_AT, QUOTA, units_of
from tests.oracle.rules import GRANTS, MONEY_BACK

if TYPE_CHECKING:
    from tests.simulation.frames import Frame
    from tests.simulation.writes.auditor import Auditor

MILLION = 1_000_000
# In a million steps, rounded down for fewer. Far below the average, so that no start falls short by chance.
LEAST = {
    "boundary: expired at this very instant": 200,
    "boundary: renewed at this very instant": 200,
    "boundary: spent in a lot's last millisecond": 100,
    "boundary: debit 402 at the instant a lot ends": 200,
    "boundary: debit 201 at the instant the quota renews": 200,
    "boundary: balance 200 at the instant a lot ends": 100,
    "boundary: a manager's session at its end": 5,
    "replay": 3_000,
    "replay after a refusal": 100,
    "replay of an effect whose response was lost": 100,
    "replay of an own lost answer": 20,
    "replay of a rival with the same key": 100,
    "a key with another request": 1_000,
    "a key that was refused and then served": 500,
    "a rival took the last credit": 100,
    "a catalog that was changed by somebody else": 300,
    "a debit by a catalog that is stale": 2_000,
    "a debit of a retired feature": 1_000,
    "a plan that is retired": 300,
    "a batch": 5_000,
    "a batch of forty": 300,
    "a batch with a refusal among others": 1_000,
    "a batch's item replayed": 1_000,
    "a batch's key twice": 300,
    "a batch's key with another request": 300,
    "a batch's malformed item": 1_000,
    "a batch's item refused: account_frozen": 100,
    "a debit carried along": 500,
    "an erasure": 2_000,
    "an erasure of nobody": 1_000,
    "an erasure's walk continued": 20,
    "texts erased: consumption": 1_000,
    "texts erased: hold": 100,
    "texts erased: capture": 40,
    "texts erased: reversal": 40,
    "a history of a customer": 500,
    "a history of a reference": 500,
    "a history of civil days": 500,
    "use by day": 500,
    "use by month": 500,
    "use in several periods": 300,
    "use in a part of the ledger": 300,
    "purchases by state of an account": 100,
    "purchases by state of all accounts": 300,
    "a list of accounts": 1_000,
    "a list's second page": 300,
    "a quote": 2_000,
    "a quote of what is missing": 2_000,
    "a quote of a retired feature": 100,
    "a look-up that found": 2_000,
    "a look-up of what nobody had heard of": 20,
    "a look-up of another kind of request": 500,
    "a look-up that found nothing": 1_000,
    "a grant that has ended already": 1_000,
    "an account that was frozen or closed": 3_000,
    "debit refused: account_frozen": 500,
    "debit refused: account_closed": 500,
    "unlock refused: account_frozen": 50,
    "buy refused: account_frozen": 20,
    "buy refused: account_closed": 20,
    "frozen or closed: credits granted": 100,
    "frozen or closed: money arrived": 20,
    "frozen or closed: an old key answered": 50,
    "frozen or closed: credits expired": 20,
    "frozen or closed: a capture": 80,
    "frozen or closed: a release": 60,
    "frozen or closed: a reversal": 80,
    "a freeze got in before a debit": 20,
    "a void of a part": 1_000,
    "a void of all that remained": 1_000,
    "a void refused: exceeds_remaining": 100,
    "a void refused: exceeds_remaining, nothing remains": 1_000,
    "a void refused: purchase_not_voidable": 50,
    "a void refused: grant_not_found": 500,
    "a capture of all": 800,
    "a capture of a part": 400,
    "a capture of nothing": 500,
    "a capture after a lot had ended": 9,
    "a capture across a renewal": 60,
    "a capture across a plan change": 60,
    "a hold released": 900,
    "a hold that lapsed": 1_000,
    "a hold that lapsed across a renewal": 10,
    "a hold that lapsed across a plan change": 40,
    "a hold refused: too_many_holds": 100,
    "a hold lost credits of an ended lot": 200,
    "what was held paid a debt": 4,
    "a reversal of a part": 600,
    "a reversal of a capture": 300,
    "a reversal for a week": 200,
    "a reversal paid a debt": 20,
    "a reversal after a refund, and it settled what is owed": 60,
    "a reversal after a refund, nothing owed": 15,
    "a reversal of a past period's quota": 200,
    "a capture refused: already_captured": 200,
    "a capture refused: hold_lapsed": 300,
    "a reverse refused: already_reversed": 1_000,
    "a reverse refused: consumption_not_found": 1_000,
    "a history as CSV": 1_000,
    "a history's second page": 2_000,
    "a stranger's purchase": 100,
    "the verifier made a pass": 50,
    "clock: an entry dated by the one before it": 2_000,
    "one debit, quota and credits": 1_000,
    "one debit, three lots or more": 500,
    "a debit took the last of everything": 2_000,
    "an expiry recorded before the sweep came": 1_000,
    "a grant settled what was owed": 300,
    "money back: spent credits became owed": 500,
    "money back: part was there, part was spent": 50,
    "money back after the lot had expired": 100,
    "money returned: a debt was cancelled": 50,
    "dispute undone: credits returned": 100,
    "dispute undone after the lot had expired": 20,
    "refund undone: credits returned": 100,
    "refund undone after the lot had expired": 20,
    "a debt that was settled came back as a new lot": 30,
    "a delivery that is too old or too new": 500,
    "an event that was lost": 300,
    "money that moved meanwhile, and no later event about it": 100,
    "a purchase that was continued too late": 2,
    "a purchase cancelled, first by its request": 200,
    "a purchase cancelled, first by its event": 5,
    "a cancellation that came after the payment": 100,
    "locked: the right code is refused too": 200,
    "locked: a wrong code": 100,
    "expiry_sweep: cut short": 500,
    "expiry_sweep: recorded": 5_000,
    "expiry_sweep: left a lot of a day that is over": 60,
    "reconcile: cut short": 500,
    "reconcile: healed": 500,
    "fault: killed_after in debit": 200,
    "fault: killed_before in deliver": 5,
    "fault: stripe killed_after in deliver": 3,
    "fault: timed out in debit": 5,
}


def missed(seen: Counter[str], steps: int) -> dict[str, tuple[int, int]]:
    """The situations that occurred too rarely, with how often they did and should. A minimum of one is not required."""
    least = {name: count * steps // MILLION for name, count in LEAST.items() if count * steps >= 2 * MILLION}
    return {name: (seen[name], wanted) for name, wanted in least.items() if seen[name] < wanted}


def situations(auditor: "Auditor", frame: "Frame", ledger: Ledger, line: Json, before: State | None) -> list[str]:
    """The situations that an entry just written shows."""
    kind, at = line["type"], line["at"]
    draws = [draw for draw in line["draws"] if draw[0] == "lot"]
    found = {
        "clock: an entry dated by the one before it": at > frame.now,
        "a grant settled what was owed": kind in GRANTS.values() and line.get("owed"),
    }
    stopped = ledger.state.terms["status"] != "active"
    found |= {
        "frozen or closed: credits granted": stopped and kind in GRANTS.values(),
        "frozen or closed: money arrived": stopped and kind == "purchase",
        "frozen or closed: credits expired": stopped and kind == "expiry",
    }
    if kind == "expiry":
        found |= {
            "boundary: expired at this very instant": any(draw[3] == at for draw in draws),
            "an expiry recorded before the sweep came": frame.step.kind != "sweep",
        }
    if kind == "consumption":
        found |= {
            "boundary: spent in a lot's last millisecond": any(draw[3] == at + 1 for draw in draws),
            "boundary: a debit at the renewal's instant": before and before.renews_at == at,
            "one debit, three lots or more": len(draws) > 2,
            "one debit, quota and credits": draws and len(draws) < len(line["draws"]),
            "a debit by a catalog that is stale": line["catalog_version"] < auditor.in_force[-1][1],
            "a debit took the last of everything": line["quota_remaining"] == 0 == ledger.state.available,
        }
    if "holds" in line or "reverses" in line:
        found |= dict.fromkeys(held_situations(ledger, line), True)
    if kind == "quota_renewal":
        found["boundary: renewed at this very instant"] = before and before.renews_at == at
    if kind in MONEY_BACK:
        found |= dict.fromkeys(money_situations(ledger, line), True)
    return [name for name, happened in found.items() if happened]


def held_situations(ledger: Ledger, line: Json) -> list[str]:
    """Those of an entry that ended holds, or that reverses a charge."""
    kind, of = line["type"], "what was held" if "holds" in line else "a reversal"
    settled = line.get("owed", 0) < 0
    found = [f"{of} paid a debt"] if settled else []
    if ledger.state.terms["status"] != "active" and line["actor"] != SERVICE:
        found.append(f"frozen or closed: a {kind}")
    if kind == "reversal":
        if _refunded_meanwhile(ledger, line):
            found.append(f"a reversal after a refund, {'and it settled what is owed' if settled else 'nothing owed'}")
        charge = ledger.lines[line["reverses"] - 1]
        past = ledger.states[line["reverses"] - 1].period != ledger.state.period
        quota = any(row[0] == "quota" for row in charge["draws"])
        found += ["a reversal for a week"] if "lot" in line else []
        found += ["a reversal of a part"] if line["quantity"] < charge["quantity"] else []
        found += ["a reversal of a capture"] if charge["type"] == "capture" else []
        return found + (["a reversal of a past period's quota"] if quota and past else [])
    held = [ledger.lines[number - 1] for number in line["holds"]]
    placed = [ledger.states[number - 1] for number in line["holds"]]
    renewed = any(state.period != ledger.state.period for state in placed)
    replanned = any(state.terms["plan"] != ledger.state.terms["plan"] for state in placed)
    found += ["a hold lost credits of an ended lot"] if "expired" in line else []
    if kind == "release":
        ended = "a hold that lapsed" if line["actor"] == SERVICE else "a hold released"
        found.append(ended)
        found += [f"{ended} across a renewal"] if renewed else []
        return found + ([f"{ended} across a plan change"] if replanned else [])
    part = "all" if line["quantity"] == held[0]["quantity"] else "a part" if line["quantity"] else "nothing"
    found.append(f"a capture of {part}")
    found += ["a capture across a renewal"] if renewed and line["quantity"] else []
    found += ["a capture across a plan change"] if replanned and line["quantity"] else []
    late = any(row[0] == "lot" and row[3] <= line["at"] for row in line["draws"])
    return found + (["a capture after a lot had ended"] if late else [])


def _refunded_meanwhile(ledger: Ledger, line: Json) -> bool:
    """Whether a reversal returns credits of a lot that a refund or dispute took back since the charge."""
    number = line["reverses"]
    charge = ledger.lines[number - 1]
    lots = {row[1]: row[2] for row in charge["draws"] if row[0] == "lot"}
    quota = sum(row[1] for row in charge["draws"] if row[0] == "quota")
    done = sum(other["quantity"] for other in ledger.lines if other.get("reverses") == number)
    last = charge["quantity"] - done
    returned = units_of(charge["quantity"], quota, lots.items())[last : last + line["quantity"]]
    refunds = {other["purchase"] for other in ledger.lines[number:] if other["type"] in MONEY_BACK}
    refunded = {lot for purchase in refunds for lot in ledger.purchased[purchase].lots}
    return any(lot in refunded for unit in returned if unit != QUOTA for lot in unit)


def money_situations(ledger: Ledger, line: Json) -> list[str]:
    """Those of an entry for a refund or dispute, or for one that was undone."""
    found, purchased = [], ledger.purchased[line["purchase"]]
    given = -sum(draw[2] for draw in line["draws"])
    ended = ledger.ends[purchased.lots[0]] <= line["at"]
    if line.get("owed", 0) > 0:
        found.append("money back: spent credits became owed")
    if line.get("owed", 0) < 0:
        found.append("money returned: a debt was cancelled")
    if given > 0:
        found.append(f"{line['type']} undone: credits returned")
    if given > 0 and ended:
        found.append(f"{line['type']} undone after the lot had expired")
    if "lot" in line and line["lot"][EXPIRES_AT] - line["at"] != WEEK:
        found.append("a debt that was settled came back as a new lot")
    if ended and given <= 0:
        found.append("money back after the lot had expired")
    if given < 0 and any(draw[2] for draw in line["draws"]) and line.get("owed", 0) > 0:
        found.append("money back: part was there, part was spent")
    return found
