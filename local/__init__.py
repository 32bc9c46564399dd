"""The local cloud: the real template on an AWS emulator, with a fake payment provider."""

import os

# Everything here talks to programs on this machine, which a company's proxy can't reach. Lower case wins in Python.
_direct = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (_direct, "127.0.0.1", "localhost")))
