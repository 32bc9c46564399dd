"""An AWS account as its API describes it: a test writes the responses, and botocore checks that AWS could give them."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.validate import validate_parameters

type Response = Mapping[str, Any] | ClientError
type Answer = Response | Callable[[Mapping[str, Any]], Response]


def refusal(code: str) -> ClientError:
    """The error with which AWS refuses an operation."""
    return ClientError({"Error": {"Code": code, "Message": code}}, "AnOperation")


@cache
def _session() -> Any:
    """One for all, because it keeps what it has read of AWS's services."""
    return boto3.Session("testing", "testing", region_name="us-east-1")


class DescribedAws:
    """answers: by operation; a function gets the request's parameters. calls: operations with their parameters.

    Nothing leaves this process.
    """

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def client(self, service: str) -> Any:
        """A client of botocore's own, whose requests are answered here."""
        client = _session().client(service)
        sent: dict[str, Mapping[str, Any]] = {}

        def note(params: Mapping[str, Any], model: Any, **_: Any) -> None:
            sent[model.name] = dict(params)

        def answer(model: Any, **_: Any) -> tuple[AWSResponse, Mapping[str, Any]]:
            params = sent[model.name]
            self.calls.append((model.name, params))
            given = self.answers[model.name]
            response = given(params) if callable(given) else given
            if isinstance(response, ClientError):
                raise response
            if model.output_shape is not None:
                validate_parameters(response, model.output_shape)
            return AWSResponse("", 200, HTTPHeaders(), None), response

        client.meta.events.register("before-parameter-build.*.*", note)
        client.meta.events.register_first("before-call.*.*", answer)
        return client
