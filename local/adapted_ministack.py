"""Runs MiniStack with few function processes, which share one unpacked copy of each layer, and with AWS's names.

MiniStack starts a process for every concurrent call, and each process unpacks the layer's 4,000 files. Its settings
limit how many calls run at once and how long idle processes live (see `cloud.py`), but beyond the limit it refuses a
call at once, and no setting lets processes share files. So this program replaces six functions of it:

- a call without a free process waits for one before it is refused as throttled, and one function can't take all;
- a new process ends the longest idle one when there are too many;
- a process gets the folder of an unpacked layer instead of the layer;
- a resource gets a name that differs from stack to stack: MiniStack derives it from the stack's name, so a stack that
  is created again would overwrite the table and the secrets that the deleted one left;
- a generated secret has no punctuation if the template excludes it.

Waiting can't deadlock, because no function of this service invokes another.

`python -P adapted_ministack.py SITE-PACKAGES LAYERS`: the folders of MiniStack's packages and of unpacked layers. It
runs under the functions' Python and imports nothing of this project.
tests/infra/test_local_capacity.py fails if a new MiniStack defeats it.
"""

# ruff: noqa: SLF001 - MiniStack has no public names for what is replaced here.

import hashlib
import importlib
import io
import os
import runpy
import string
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FUNCTION_PROCESSES = 4
# Less than the 30 s that API Gateway waits, so that it is still waiting when a queued call starts.
QUEUE_SECONDS = 20.0
# The length of the hash at the end of a generated name.
NAME_SUFFIX = 13


def queue_calls(services: Any, *, seconds: float) -> None:
    """Let calls wait this long for one of the function's processes, then throttle them as Lambda does."""
    claim, give_back = services._acquire_execution_slot, services._release_execution_slot
    freed = threading.Condition()

    def acquire(function: dict[str, Any], config: dict[str, Any]) -> Any:
        # It limits all versions together; a version's own record doesn't have it.
        reserved = services._functions.get(config.get("FunctionName"), function).get("concurrency")
        bounded = {**function, "concurrency": FUNCTION_PROCESSES if reserved is None else reserved}
        deadline = time.monotonic() + seconds
        with freed:
            while (claimed := claim(bounded, config))[0] is None:
                # A function without any concurrency was stopped on purpose.
                if reserved == 0 or not freed.wait(deadline - time.monotonic()):
                    break
            return claimed

    def release(claimed: Any) -> None:
        give_back(claimed)
        with freed:
            freed.notify_all()

    services._acquire_execution_slot, services._release_execution_slot = acquire, release


def bound_processes(services: Any, runtime: Any) -> None:
    """Keep at most as many processes, idle ones included, as calls may run at once."""
    acquire = services.acquire_worker

    def acquire_and_evict(*arguments: Any, **keywords: Any) -> Any:
        acquired = acquire(*arguments, **keywords)
        with runtime._lock:
            pools = list(runtime._workers.values())
            idle = sorted(
                (process for pool in pools for process in pool if not process.in_use),
                key=lambda process: process.last_used,
            )
            surplus = idle[: max(0, sum(map(len, pools)) - services._ACCOUNT_CONCURRENCY_CAP)]
            for pool in pools:
                pool[:] = [process for process in pool if process not in surplus]
        runtime.kill_workers(surplus)
        return acquired

    services.acquire_worker = acquire_and_evict


def share_layers(services: Any, runtime: Any, folder: Path) -> None:
    """Give a function's processes the folders of its layers, each unpacked once, into `folder`."""
    spawn = runtime.Worker._spawn
    unpacking = threading.Lock()

    def spawn_sharing(worker: Any) -> None:
        layers = [services._resolve_layer_zip(layer) for layer in worker.config.get("Layers") or []]
        if layers:
            with unpacking:
                folders = [str(unpacked(layer, folder)) for layer in layers if layer]
            variables = (worker.config.get("Environment") or {}).get("Variables") or {}
            variables = {**variables, "_LAMBDA_LAYERS_DIRS": os.pathsep.join(folders)}
            worker.config = {**worker.config, "Layers": [], "Environment": {"Variables": variables}}
        spawn(worker)

    runtime.Worker._spawn = spawn_sharing


def unpacked(layer: bytes, parent: Path) -> Path:
    """Unpack a layer into a folder of `parent` that is named by the digest of its zip. Returns the folder."""
    folder = parent / hashlib.sha256(layer).hexdigest()[:16]
    if not folder.exists():
        # In the emulator's temporary folder, so that an interrupted extraction is deleted with it.
        draft = Path(tempfile.mkdtemp())
        with zipfile.ZipFile(io.BytesIO(layer)) as archive:
            archive.extractall(draft)
        try:
            draft.rename(folder)
        except OSError:
            # Another emulator may have created it in the meantime.
            if not folder.exists():
                raise
    # The least recently used ones are deleted first.
    os.utime(folder)
    return folder


def name_by_stack(provisioners: Any, stacks: Mapping[str, Any]) -> None:
    """Let a generated name end with a hash of the stack's id: the same in each update, another in each stack."""
    generate = provisioners._physical_name

    def name(stack_name: str, logical_id: str, **form: Any) -> str:
        generated = str(generate(stack_name, logical_id, **form))
        if stack_name not in stacks:
            return generated
        digest = hashlib.sha256(f"{stacks[stack_name]['StackId']} {generated}".encode()).hexdigest()[:NAME_SUFFIX]
        return generated[:-NAME_SUFFIX] + (digest if form.get("lowercase") else digest.upper())

    provisioners._physical_name = name


def exclude_punctuation(provisioners: Any) -> None:
    """Generate secrets without punctuation where the template excludes it: one with a brace in front would be JSON."""
    generate = provisioners._sm_secret_string

    def secret_string(props: dict[str, Any]) -> Any:
        options = props.get("GenerateSecretString") or {}
        if options.get("ExcludePunctuation"):
            excluded = options.get("ExcludeCharacters", "") + string.punctuation
            props = {**props, "GenerateSecretString": {**options, "ExcludeCharacters": excluded}}
        return generate(props)

    provisioners._sm_secret_string = secret_string


def main(site: str, layers: str) -> None:
    """Run MiniStack with these changes until a signal ends it."""
    # At the end, so that MiniStack's packages can't replace the standard library's. Functions get none of them.
    sys.path.append(site)
    services = importlib.import_module("ministack.services.lambda_svc")
    runtime = importlib.import_module("ministack.core.lambda_runtime")
    formation = importlib.import_module("ministack.services.cloudformation")
    queue_calls(services, seconds=QUEUE_SECONDS)
    bound_processes(services, runtime)
    share_layers(services, runtime, Path(layers))
    name_by_stack(formation.provisioners, formation._stacks)
    exclude_punctuation(formation.provisioners)
    runpy.run_module("ministack", run_name="__main__")


if __name__ == "__main__":
    # MiniStack reads its own arguments, and there are none.
    main(*(sys.argv.pop(1) for _ in range(2)))
