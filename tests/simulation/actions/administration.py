"""Accounts, catalogs, and a machine's clock."""

from dataclasses import replace

from tests.oracle import requests
from tests.oracle.catalog import Json
from tests.simulation.actions.asking import account_of
from tests.simulation.frames import ClientRequest
from tests.simulation.step import Step
from tests.simulation.world import FUNCTIONS, World
from tests.support.api import PATCH_ACCOUNT, PUT_ACCOUNT, PUT_CATALOG
from tests.support.gateway_events import ADMIN

SMALL_PACKS = {
    "tiny": (3, 500, 1),
    "small": (10, 990, 2),
    "odd": (7, 1999, 12),
    "big": (60, 4990, 12),
    "gone": (5, 700, 1),
}
# By variant. In the fourth one a quota moves to another feature.
OMITTED = {2: ("trio", "odd"), 3: ("ai_service", "photo"), 4: ("scale", "individual"), 5: ("photo", "credits-50")}
NAMES = ("Pet & Cia", "Bicho Bão", "Au au")


def put_account(world: World, step: Step) -> None:
    terms = {
        "plan": step["plan"],
        "ai_enabled": step["ai"],
        "quota_anchor_day": step["anchor"],
        "time_zone": step["zone"],
        "currency": "brl",
        "low_credit_threshold": 10 + step["name"],
    }
    account = account_of(step)
    profile = {
        "name": f"{NAMES[step['name']]} ({account})",
        "language": ("pt-BR", "en", "es")[step["name"]],
        "manager_contact": f"manager@{account}.example" if step["contact"] else None,
    }
    body = terms | profile
    details = {"terms": terms, "profile": profile, "body": body}
    world.ask(
        step,
        ClientRequest(
            "put_account",
            PUT_ACCOUNT,
            account,
            body,
            claims=ADMIN,
            details=details,
            request=requests.PutTerms(actor="admin-client", terms=terms),
        ),
    )


def patch_account(world: World, step: Step) -> None:
    body = {name: value for name in ("status", "low_credit_threshold") if (value := step.get(name)) is not None}
    request = requests.PutTerms(actor="admin-client", terms=body)
    details = {"profile": {}, "body": body}
    account = account_of(step)
    world.ask(
        step,
        ClientRequest("patch_account", PATCH_ACCOUNT, account, body, claims=ADMIN, details=details, request=request),
    )


def catalog(world: World, step: Step) -> None:
    """The next version, or one after a version that is not the newest any more."""
    newest = world.auditor.in_force[-1][1]
    expected = max(1, newest - 1) if step.get("stale") else newest
    headers = (("if-match", f'"{expected}"'),)
    body = catalog_body(step["variant"])
    details = {"expected": expected, "body": body}
    world.ask(step, ClientRequest("catalog", PUT_CATALOG, "", body, claims=ADMIN, headers=headers, details=details))


def catalog_body(variant: int) -> Json:
    """A catalog: small packs and quotas, so that both run out. Each of OMITTED is retired while it is in force."""
    sold = {
        "credits-50": (50, 2990, 12),
        "credits-100": (100, 4990, 12),
        "credits-500": (500, 19990, 12),
        "credits-1000": (1000, 34990, 12),
        **SMALL_PACKS,
    }
    backed = "sticker" if variant == 4 else "ai_service"
    prices = {"sticker": (1, 1, 2, 0, 1, 3)[variant], "ai_service": (1, 2, 1, 1, 1, 0)[variant], "photo": 1 + variant}
    included = {"none": 0, "individual": 3 + variant, "trio": 10, "team": (2, 0, 5, 2, 2, 7)[variant], "scale": 40}
    omitted = OMITTED.get(variant, ())
    quotas = {
        plan: {
            feature: count
            for feature, count in ((backed, units), ("photo", (units + 1) // 2))
            if count and feature not in omitted
        }
        for plan, units in included.items()
    }
    return {
        "features": [
            {"id": feature, "price": price, "titles": {"en": f"{feature} {variant}"}}
            for feature, price in prices.items()
            if feature not in omitted
        ],
        "plans": [
            {"id": plan, "quotas": units, "titles": {"es": f"{plan} {variant}"}}
            for plan, units in quotas.items()
            if plan not in omitted
        ],
        "packs": [
            {
                "id": pack,
                "credits": credits + variant * (pack == "odd"),
                "amount": amount,
                "currency": "brl",
                "valid_months": months,
                "active": not (pack == "gone" or (pack == "tiny" and variant == 3)),
            }
            for pack, (credits, amount, months) in sold.items()
            if pack not in omitted
        ],
        "allow_cheaper_small_packs": True,
    }


def skew(world: World, step: Step) -> None:
    """A machine's clock is set: perhaps back."""
    function = FUNCTIONS[step["function"]]
    world.machine(replace(step, machine=step["to"]), function).skew = step["by"]
