"""`make build`: runs `sam build`, and checks the architecture of the result.

The layer contains compiled code. Its Makefile reads the architecture from the environment, SAM from a parameter, and
nothing compares them: a mismatch would fail at the first call. So this module sets both, and checks the built files.
"""

import argparse
import os
import struct
import subprocess
import sys
from pathlib import Path

from deployment.settings import ROOT, SettingsError
from local import sam
from local.processes import LocalStackError, own_environment

BUILT = ROOT / ".aws-sam" / "build"
LAYER = "PrepaidLayer"
# The field e_machine of an ELF file: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
MACHINES = {183: "arm64", 62: "x86_64"}
ELF = b"\x7fELF"


def machine_of(library: Path) -> str | None:
    """The architecture of a compiled file, by Lambda's name; None for a file that isn't ELF."""
    with library.open("rb") as file:
        header = file.read(20)
    if not header.startswith(ELF):
        return None
    (machine,) = struct.unpack_from("<H", header, 18)
    return MACHINES.get(machine, f"machine {machine}")


def architecture_of(layer: Path) -> str:
    """The architecture of a built layer's compiled files. Raises SettingsError unless it is the same for all."""
    machines = {machine_of(library) for library in layer.rglob("*.so*") if library.is_file()} - {None}
    if len(machines) != 1:
        names = ", ".join(sorted(map(str, machines))) or "none"
        raise SettingsError(f"the layer must be built for one architecture, and {layer} has: {names}")
    return str(machines.pop())


def build(architecture: str) -> None:
    """Build into .aws-sam/build. Raises SettingsError if the layer isn't for this architecture."""
    aws = {name: value for name, value in os.environ.items() if name.startswith(("AWS_", "SAM_"))}
    env = {**sam.environment(own_environment()), **aws, "ARCHITECTURE": architecture}
    command = sam.command("build", "--parameter-overrides", f"Architecture={architecture}")
    if subprocess.run(command, env=env, cwd=ROOT, check=False).returncode:
        raise SettingsError("sam build failed")
    built_architecture = architecture_of(BUILT / LAYER)
    if built_architecture != architecture:
        raise SettingsError(f"the layer was built for {built_architecture} instead of {architecture}")


def main() -> int:
    """Build for the architecture of the command line."""
    parser = argparse.ArgumentParser(prog="make build", description=__doc__)
    parser.add_argument("--architecture", choices=sorted(MACHINES.values()), default="arm64", help="ARCHITECTURE=")
    build(parser.parse_args().architecture)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (SettingsError, LocalStackError) as error:
        sys.exit(f"make build: {error}")
