"""Many processes spend and give at once and are killed in the middle: accounts stay linearizable, totals exact."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from local.processes import HOST, ROOT, free_port, own_environment
from tests.bank.__main__ import plan_of
from tests.bank.checker import check
from tests.bank.client import PLAN_FILE
from tests.bank.history import Recorder, next_index, read_history
from tests.bank.requests import Kind, Request, request_at
from tests.bank.run import BankRun

A_GRANT = Request(kind="grant", account="a", key="k", body={"credits": 1})


def test_accounts_stay_linearizable_while_processes_are_killed(bank_run: BankRun) -> None:
    verdict = check(bank_run.finished.histories, bank_run.finished.items)

    assert (bank_run.finished.errors, verdict.faults) == ([], [])
    assert verdict.counts["operations"] >= bank_run.plan.operations
    # The run had its disturbances.
    assert bank_run.finished.kills >= bank_run.disturbances - 2
    assert bank_run.finished.freezes >= 1
    seen = {"lost", "replayed", "status 402", "status 404", "status 409", "status 422", "consumptions", "available"}
    seen |= {"lapses", "erased", "held", "quote", "balance", "waited", "carried"}
    seen |= {f"entry {kind}" for kind in ("hold", "capture", "release", "reversal", "erasure", "grant", "void")}
    met = verdict.counts + verdict.totals
    assert {what for what in seen if not met[what]} == set(), met


def test_keys_are_used_by_several_clients_and_for_different_requests() -> None:
    plan = plan_of(2000, 4, 64, seed=1)
    requests = [
        (client, request_at(plan, client, index)) for client in range(64) for index in range(plan.requests_of(client))
    ]
    users: dict[str, set[int]] = {}
    bodies_of: dict[str, set[str]] = {}
    for client, request in requests:
        if request.key:
            users.setdefault(request.key, set()).add(client)
            bodies_of.setdefault(request.key, set()).add(json.dumps(request.body, sort_keys=True))

    assert len(requests) == 2000
    assert {request.kind for _, request in requests} == set(get_args(Kind.__value__))
    assert sum(len(clients) > 1 for clients in users.values()) > 100
    assert sum(len(bodies) > 1 for bodies in bodies_of.values()) > 20


def test_a_killed_clients_successor_retries_unanswered_requests(
    tmp_path: Path,
) -> None:
    file = tmp_path / "3.jsonl"
    first = Recorder(file)
    first.sent(0, A_GRANT)
    first.received(201, {"entry": 2}, replayed=False)
    first.sent(1, A_GRANT)
    with file.open("a") as torn:
        torn.write('{"at":1,"wall":1,"stat')

    assert next_index(file) == 1

    second = Recorder(file)
    second.sent(1, A_GRANT)
    second.received(201, {"entry": 3}, replayed=True)
    attempts = read_history(file)
    assert [(attempt.client, attempt.index, attempt.answered, attempt.request) for attempt in attempts] == [
        (3, 0, True, A_GRANT),
        (3, 1, False, A_GRANT),
        (3, 1, True, A_GRANT),
    ]
    assert next_index(file) == 2


def test_a_busy_response_counts_as_unanswered(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "0.jsonl")
    recorder.sent(0, A_GRANT)
    recorder.received(503, {"code": "busy"}, replayed=False)

    assert next_index(tmp_path / "0.jsonl") == 0


def test_a_process_ends_with_its_supervisor(tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text(json.dumps(asdict(plan_of(1000, 1, 1, seed=1))))
    nowhere = {"AWS_ENDPOINT_URL": f"http://{HOST}:{free_port()}", "AWS_REGION": "us-east-1", "TABLE_NAME": "none"}
    secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "PYTHONPATH": "layers/prepaid:."}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bank.client", tmp_path, "0"],
        stdin=subprocess.PIPE,
        env={**own_environment(), **nowhere, **secrets},
        cwd=ROOT,
    )
    assert process.stdin

    process.stdin.close()

    assert process.wait(timeout=60) == 1
