"""Lets Schemathesis search for requests to which the service responds otherwise than openapi.json says.

It runs in an environment of its own and gets only an address and tokens: its requests come from the contract.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.processes import own_environment
from local.tools import environment_of
from tests.support.api import BATCH, BUY, HOLDER
from tests.support.contract import FILE, routes, scope_of

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "ignored_auth",
    # Left out: unsupported_method expects 405, but API Gateway returns 404; positive_data_acceptance expects success,
    # but our rules refuse some of what the contract's types allow (a plan that isn't sold, a code too easy to guess).
)
# Ids and names that exist, used for most requests, so that they aren't all refused as unknown.
HOW_OFTEN = 0.6
# What a check accepts besides, by route. An invalid item of a batch is refused alone: the response is a 200 in which
# its result is the 422. A used key is looked up before the manager's session, so that a retry needs none.
ALSO_EXPECTED = {
    BATCH: ("negative_data_rejection", "200"),
    BUY: ("missing_required_header", "409"),
}
REJECTIONS = {
    # Schemathesis' own.
    "negative_data_rejection": ["400", "401", "403", "404", "405", "406", "409", "415", "422", "428", "429", "5xx"],
    # 428 is RFC 6585's own answer to a missing If-Match.
    "missing_required_header": ["400", "401", "422", "428"],
}
FIXED_WORDS = {
    "body.feature": ["sticker", "ai_service"],
    "body.plan": ["none", "individual"],
    "body.pack": ["credits-100", "credits-50"],
}


def explore(
    url: str,
    tokens: Mapping[str, str],
    words: Mapping[str, list[str]],
    folder: Path,
    *,
    phases: str = "coverage,fuzzing",
    examples: int = 0,
    seconds: int = 0,
    without: tuple[str, ...] = (),
) -> str:
    """Explore the service at `url` and return the report. Raises AssertionError with the report after a wrong response.

    tokens: by the name of the stack's client. words: values that exist, besides the fixed ones. phases: coverage tries
    each bound of the contract, fuzzing tries random values. examples: how many per route, the same in every run; they
    use no account that a response names. seconds: for how long, with others in each run, which also use what responses
    name: on a stack of its own. without: routes to leave out.
    """
    settings = folder / "schemathesis.toml"
    lines = [*_settings(tokens, {**FIXED_WORDS, **words})]
    if not seconds:
        # Otherwise Schemathesis takes accounts from the list of accounts and changes those of other tests.
        lines.append("[phases]\nfuzzing.extra-data-sources.responses = false")
    settings.write_text("\n".join(lines), encoding="utf-8")
    command = [str(environment_of("schemathesis") / "bin" / "schemathesis"), "--config-file", str(settings)]
    command += ["run", str(FILE), "--url", url, "--checks", ",".join(CHECKS), "--phases", phases]
    command += ["--no-color", "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "60"]
    command += ["--max-time", str(seconds)] if seconds else ["--generation-deterministic", "-n", str(examples)]
    for route in without:
        command += ["--exclude-name", route]
    ended = subprocess.run(command, cwd=folder, env=own_environment(), capture_output=True, text=True, check=False)
    report = ended.stdout + ended.stderr
    for token in tokens.values():
        report = report.replace(token, "TOKEN")
    assert ended.returncode == 0, report
    tested = len(routes()) - len(without)
    assert f"Tested: {tested}" in report, report
    return report


def _settings(tokens: Mapping[str, str], words: Mapping[str, list[str]]) -> Iterator[str]:
    yield "[checks]"
    for check, statuses in REJECTIONS.items():
        yield f"{check}.expected-statuses = {json.dumps(statuses)}"
    for name, values in words.items():
        yield f'[dictionaries."{name}"]\nvalues = {json.dumps(values)}'
    yield "[parameters]"
    for name in words:
        yield f'"{name}" = {{ dictionary = "{name}", probability = {HOW_OFTEN} }}'
    for route in routes():
        holder = HOLDER[scope_of(route)]
        if holder:
            bearer = json.dumps(f"Bearer {tokens[holder]}")
            yield f"[[operations]]\ninclude-name = {json.dumps(route)}\nheaders = {{ Authorization = {bearer} }}"
        if route in ALSO_EXPECTED:
            check, status = ALSO_EXPECTED[route]
            yield f"checks.{check}.expected-statuses = {json.dumps([*REJECTIONS[check], status])}"
