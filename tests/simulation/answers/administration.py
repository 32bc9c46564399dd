"""Answers to changes of accounts and of the catalog."""

from tests.oracle.expectation import must, same
from tests.simulation.answers.answer_check import AnswerCheck


def check_put_account(it: AnswerCheck) -> None:
    if it.answer.status == 422:
        _check_plan_refused(it)
        return
    same(it.answer.status in {200, 201}, True, it.about)
    opened = not it.frame.first_number
    must((it.answer.status == 201) == opened or it.frame.met or it.frame.rivals, f"{it.about}: opened {opened}")
    # A PUT that doesn't name the status leaves it as it is.
    status = it.answer.body["status"]
    must(status in {state.terms["status"] for state, _ in it.states()}, f"{it.about}: {status} at no time")
    same(it.answer.body, {"account": it.frame.account, **it.frame.details["body"], "status": status}, it.about)
    if not it.frame.rivals:
        same(it.ledger.state.terms, it.frame.details["terms"] | {"status": status}, f"{it.about}: its terms")
        _, profile = it.auditor.profiles[it.account][-1]
        for name, value in it.frame.details["profile"].items():
            same(profile.get(name), value, f"{it.about}: {name}")


def check_patch_account(it: AnswerCheck) -> None:
    if it.is_not_found():
        return
    same(it.answer.status, 200, it.about)
    for name, value in it.frame.details["body"].items():
        same(it.answer.body[name], value, f"{it.about}: {name}")
        must(any(state.terms[name] == value for state, _ in it.states()), f"{it.about}: {name} at no time")
    if it.frame.details["body"].get("status", "active") != "active":
        it.world.seen["an account that was frozen or closed"] += 1


def _check_plan_refused(it: AnswerCheck) -> None:
    """A retired plan stays where it is and goes nowhere else."""
    same((it.answer.code, it.answer.body["errors"][0]["field"]), ("invalid_request", "plan"), it.about)
    plan = it.frame.details["terms"]["plan"]
    if not it.frame.first_number:
        catalogs = [it.auditor.catalogs[version] for version in it.auditor.usable_versions(it.frame)]
    else:
        catalogs = [
            catalog for state, number in it.states() for catalog in it.catalogs(number) if state.terms["plan"] != plan
        ]
    must(not all(catalog.offers("plan", plan) for catalog in catalogs), f"{it.about}: {plan} is active or its own")
    it.world.seen["a plan that is retired"] += 1


def check_catalog(it: AnswerCheck) -> None:
    newest = it.auditor.in_force[-1][1]
    if it.answer.status == 200:
        same(it.answer.body["version"], it.frame.details["expected"] + 1, it.about)
        must(it.answer.body["version"] in it.auditor.catalogs, f"{it.about}: it isn't stored")
        return
    same(it.answer.code, "version_conflict", it.about)
    must(it.frame.details["expected"] != newest, f"{it.about}: it was the current version")
    it.world.seen["a catalog that was changed by somebody else"] += 1
