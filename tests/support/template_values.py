"""How a processed template writes references, conditions and periods."""

from typing import Any

MINUTE, HOUR, DAY = 60, 3600, 86400

type Properties = dict[str, Any]


def ref(name: str) -> Properties:
    return {"Ref": name}


def attribute(resource: str, name: str = "Arn") -> Properties:
    return {"Fn::GetAtt": [resource, name]}


def sub(text: str) -> Properties:
    return {"Fn::Sub": text}


def either(condition: str, then: Any, otherwise: Any) -> Properties:
    return {"Fn::If": [condition, then, otherwise]}
