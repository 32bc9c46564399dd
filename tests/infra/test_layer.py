"""The layer: its build leaves out only what no code calls."""

import ast
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import botocore
from botocore import xform_name

from local.build import built
from local.processes import STATE

LAYER = Path(__file__).parents[2] / "layers" / "prepaid"
MODEL = Path("dynamodb", "2012-08-10", "service-2.json.gz")


def kept() -> dict[str, set[str]]:
    """The operations that the build keeps, by service."""
    makefile = (LAYER / "Makefile").read_text("utf-8")
    return {
        service: set(names.split(","))
        for service, names in re.findall(r"^\t(\w+)=([A-Za-z,]+)", makefile, re.MULTILINE)
    }


def called() -> set[str]:
    """The names of the methods that our code calls on a client."""
    files = (file for part in ("store", "messaging") for file in (LAYER / "prepaid" / part).glob("*.py"))
    trees = (ast.parse(file.read_text("utf-8")) for file in files)
    calls = (node.func for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        function.attr
        for function in calls
        if isinstance(function, ast.Attribute) and ast.unparse(function.value).endswith("client")
    }


def test_the_layer_keeps_the_operations_that_are_called() -> None:
    assert {xform_name(name) for names in kept().values() for name in names} == called()


def test_a_kept_operation_keeps_its_shapes(tmp_path: Path) -> None:
    original = json.loads(gzip.decompress((Path(botocore.__file__).parent / "data" / MODEL).read_bytes()))
    (tmp_path / MODEL).parent.mkdir(parents=True)
    (tmp_path / MODEL).write_bytes(gzip.compress(json.dumps(original).encode()))
    (tmp_path / "endpoints.json").write_text('{"partitions": []}')

    subprocess.run([sys.executable, LAYER / "trim_botocore.py", tmp_path, "dynamodb=GetItem"], check=True)

    trimmed = json.loads(gzip.decompress((tmp_path / MODEL).read_bytes()))
    assert set(trimmed["operations"]) == {"GetItem"}
    assert {"GetItemInput", "GetItemOutput", "AttributeValue", "ResourceNotFoundException"} <= set(trimmed["shapes"])
    assert "PutItemInput" not in trimmed["shapes"]
    assert '"documentation": "' not in json.dumps(trimmed)


def test_the_layers_boto3_opens_every_client_without_s3() -> None:
    site = built(STATE / "log" / "layer" / "build.log") / "PrepaidLayer" / "python"
    code = f"""
import sys
sys.path[:0] = [{str(site)!r}]
import boto3
for service in {sorted(kept())}:
    boto3.client(service, region_name="us-east-1")
print(boto3.__file__, "multiprocessing" in sys.modules)
"""

    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout.split() == [str(site / "boto3" / "__init__.py"), "False"]
