"""AWS clients without AWS: a test responds instead, in a handler of botocore's event `before-send`."""

import json
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config
from botocore.session import get_session


def aws_client(service: str, config: Config | None = None) -> Any:
    """A client that needs no environment."""
    return get_session().create_client(
        service,
        region_name="us-east-1",
        config=config,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def json_response(body: Any, status: int = 200) -> AWSResponse:
    """A response as it comes from the network."""
    return raw_response(json.dumps(body).encode(), status)


def raw_response(body: bytes, status: int) -> AWSResponse:
    raw = BytesIO(body)
    raw.stream = lambda *_a, **_k: iter([body])  # type: ignore[attr-defined]
    return AWSResponse("http://aws", status, HTTPHeaders(), raw)
