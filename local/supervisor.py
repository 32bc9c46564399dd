"""Runs one command, and ends it and everything it started as soon as the owner exits.

Then it deletes the command's temporary folder.
The owner holds the other end of standard input. However the owner exits, kill -9 included, the pipe closes, so nothing
polls and no process id can be mistaken for another. This file imports the standard library only, to start fast.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time

GRACE_SECONDS = 3.0
DELETE_SECONDS = 5.0


def end_group(group: int, grace: float = GRACE_SECONDS) -> None:
    """Terminate the process group; kill what is left after `grace` seconds."""
    for sent_signal in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(group, sent_signal)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + grace
        while sent_signal is signal.SIGTERM and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return


def delete(folder: str) -> None:
    """Delete the folder. A process that was killed just now may still write into it."""
    deadline = time.monotonic() + DELETE_SECONDS
    shutil.rmtree(folder, ignore_errors=True)
    while os.path.exists(folder) and time.monotonic() < deadline:  # noqa: PTH110 - pathlib takes long to import
        time.sleep(0.05)
        shutil.rmtree(folder, ignore_errors=True)


def main(scratch: str, command: list[str]) -> int:
    """Run the command until it or the owner exits, delete its temporary folder, and return its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    finished = threading.Event()

    def reap() -> None:
        child.wait()
        finished.set()

    def watch_owner() -> None:
        while os.read(0, 1024):
            pass
        finished.set()

    for stop in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(stop, lambda *_: finished.set())
    for watch in (reap, watch_owner):
        threading.Thread(target=watch, daemon=True).start()
    finished.wait()
    # The command may have exited before the processes that it started.
    end_group(child.pid)
    delete(scratch)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # os._exit: an ordinary exit would wait for the thread that reads standard input.
    status = main(sys.argv[1], sys.argv[2:])
    sys.stdout.flush()
    os._exit(status)
