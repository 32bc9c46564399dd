"""Runs one command and ends it, with all it started, as soon as its owner is gone.

The owner holds the other end of standard input. Whatever way the owner dies, kill -9 included, the pipe closes; nothing
has to be polled and no process id can be mistaken for another. Only the standard library: it must start fast.
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 3.0


def end_group(group: int, grace: float = GRACE_SECONDS) -> None:
    """Ask the whole group to stop, then make it."""
    for attempt in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, attempt)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + grace
        while attempt is signal.SIGTERM and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return


def main(command: list[str]) -> int:
    """Run the command until it ends or the owner does."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    over = threading.Event()

    def reap() -> None:
        child.wait()
        over.set()

    def watch_owner() -> None:
        while os.read(0, 1024):
            pass
        over.set()

    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stop, lambda *_: over.set())
    for watch in (reap, watch_owner):
        threading.Thread(target=watch, daemon=True).start()
    over.wait()
    # The child may be gone and its own children not.
    end_group(child.pid)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # os._exit: the thread reading standard input would hold up an ordinary exit.
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)
