"""The manager's code and sessions, and purchases."""

from tests.oracle.catalog import Json
from tests.simulation.actions.asking import account_of, ask, new_key
from tests.simulation.frames import ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import CODES, World
from tests.support.api import BUY, CANCEL, MANAGER_CODE, MANAGER_SESSION
from tests.support.gateway_events import ADMIN, BUYER

UNKNOWN = "pur_" + "0" * 20


def code(world: World, step: Step) -> None:
    account = account_of(step)
    body: Json = {"code": CODES[step["code"]]}
    known = world.auditor.managers.get(account)
    admin = step["admin"]
    if not admin:
        current = step.get("current")
        body["current_code"] = (known.code if known and current is None else CODES[current or 0]) or CODES[0]
    details = {"code": body["code"], **({"current": body["current_code"]} if not admin else {})}
    claims = ADMIN if admin else BUYER
    world.ask(step, ClientRequest("code", MANAGER_CODE, account, body, claims=claims, details=details))


def unlock(world: World, step: Step) -> None:
    """The right code (None), or the code that differs by this number."""
    account = account_of(step)
    known = world.auditor.managers.get(account)
    right = CODES.index(known.code) if known and known.code in CODES else 0
    shown = CODES[(right + (step["code"] or 0)) % len(CODES)]
    signature = ("manager session",)
    ask(
        world,
        step,
        ClientRequest(
            "unlock",
            MANAGER_SESSION,
            account,
            {"code": shown},
            new_key(world),
            BUYER,
            details={"code": shown},
            signature=signature,
        ),
    )


def buy(world: World, step: Step) -> None:
    account, which = account_of(step), step["token"]
    tokens = world.tokens.get(account, [])
    if which == "other's":
        tokens = [token for owner, found in world.tokens.items() if owner != account for token in found]
        which = 0
    token = tokens[-1 - which] if isinstance(which, int) and len(tokens) > which else "nobody's"
    details = {"pack": step["pack"], "token": token}
    ask(
        world,
        step,
        ClientRequest(
            "buy",
            BUY,
            account,
            {"pack": step["pack"]},
            new_key(world),
            BUYER,
            (("manager-session", token),),
            details=details,
            signature=("purchase", step["pack"]),
        ),
    )


def cancel(world: World, step: Step) -> None:
    """Cancel a purchase whose page is open at Stripe, any purchase, or one that isn't there."""
    account = account_of(step)
    pages = world.stripe.tables.get("checkout.session", {})
    own = [known.record for known in world.auditor.purchases.values() if known.record["account"] == account]
    if step["what"] == "open":
        own = [record for record in own if pages.get(record.get("session", ""), {}).get("status") == "open"]
    if not own and step["what"] != "unknown":
        world.nothing(step)
        return
    purchase = own[-1 - step["back"] % len(own)]["id"] if step["what"] != "unknown" else UNKNOWN
    ask(
        world,
        step,
        ClientRequest(
            "cancel",
            CANCEL,
            account,
            key=new_key(world),
            claims=BUYER,
            path=(("id", purchase),),
            details={"purchase": purchase},
            signature=("cancellation", purchase),
        ),
    )
