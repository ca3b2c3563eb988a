"""Compares the bytes of answers with AWS's model of them: no member that the model doesn't have, none missing that it requires,
dates and truth values in their one form. Clients are lenient: they leave out what they don't know.

The model is botocore's, `service-2.json` of each service.
"""

import json
import re
from xml.etree import ElementTree

from botocore.model import OperationModel, Shape

# The Query protocol writes dates as ISO 8601 has them (AWS, "Smithy", timestamp formats: date-time).
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z")
# Unique ids. Source: IAM user guide, "IAM identifiers".
IDS = {
    "UserId": r"AIDA[A-Z0-9]{17}|\d{12}",
    "GroupId": r"AGPA[A-Z0-9]{17}",
    "RoleId": r"AROA[A-Z0-9]{17}",
    "PolicyId": r"ANPA[A-Z0-9]{17}",
    "AssumedRoleId": r"AROA[A-Z0-9]{17}:[\w+=,.@-]{2,64}",
}


def faults(operation: OperationModel, body: bytes) -> list[str]:
    """What is wrong with the body of an answer that is no error, as texts."""
    shape = operation.output_shape
    if operation.service_model.protocol != "query":
        return list(of_json(operation.name, json.loads(body or b"{}"), shape)) if shape else []
    root = ElementTree.fromstring(body)
    space = operation.service_model.metadata["xmlNamespace"]
    found = [] if root.tag == f"{{{space}}}{operation.name}Response" else [f"the document is {root.tag}"]
    names = [part.tag.partition("}")[2] for part in root]
    expected = ([shape.serialization["resultWrapper"]] if shape else []) + ["ResponseMetadata"]
    if names != expected:
        return [*found, f"the document has {names}, not {expected}"]
    if not (root[-1].findtext(f"{{{space}}}RequestId") or ""):
        found.append("there is no request id")
    return [*found, *(of_xml(operation.name, root[0], shape) if shape else ())]


def of_xml(path: str, element: ElementTree.Element, shape: Shape):
    children = [(child.tag.partition("}")[2], child) for child in element]
    match shape.type_name:
        case "structure":
            members = {part.serialization.get("name", name): part for name, part in shape.members.items()}
            yield from of_structure(path, [name for name, _ in children], shape, members)
            for name, child in children:
                if name in members:
                    yield from of_xml(f"{path}.{name}", child, members[name])
                if name in IDS and not re.fullmatch(IDS[name], child.text or ""):
                    yield f"{path}.{name} is {child.text}"
        case "list":
            for name, child in children:
                if name != "member":
                    yield f"{path} has {name}"
                yield from of_xml(f"{path}.{name}", child, shape.member)
        case "map":
            for name, child in children:
                if name != "entry" or [part.tag.partition("}")[2] for part in child] != ["key", "value"]:
                    yield f"{path} has {name}"
        case _ if children:
            yield f"{path} has parts"
        case "timestamp" if not DATE.fullmatch(element.text or ""):
            yield f"{path} is {element.text}"
        case "boolean" if element.text not in ("true", "false"):
            yield f"{path} is {element.text}"
        case "integer" | "long" if not re.fullmatch(r"-?\d+", element.text or ""):
            yield f"{path} is {element.text}"
        case "string" if shape.enum and element.text not in shape.enum:
            yield f"{path} is {element.text}"


def of_json(path: str, value, shape: Shape):
    match shape.type_name:
        case "structure":
            yield from of_structure(path, list(value), shape, shape.members)
            for name, part in value.items():
                if name in shape.members:
                    yield from of_json(f"{path}.{name}", part, shape.members[name])
        case "list":
            for part in value:
                yield from of_json(path, part, shape.member)
        case "timestamp" if not isinstance(value, (int, float)):
            yield f"{path} is {value}"
        case "boolean" if not isinstance(value, bool):
            yield f"{path} is {value}"
        case "string" if shape.enum and value not in shape.enum:
            yield f"{path} is {value}"


def of_structure(path: str, names: list[str], shape: Shape, members: dict):
    for name in names:
        if name not in members:
            yield f"{path}.{name} is not in the model"
    if len(set(names)) != len(names):
        yield f"{path} has a member twice"
    for name in shape.required_members:
        if name not in names:
            yield f"{path}.{name} is missing"


def check(client) -> None:
    """Has all that a boto3 client is answered compared."""

    def compare(operation_model, response_dict, **_):
        if response_dict["status_code"] == 200:
            wrong = faults(operation_model, response_dict["body"])
            assert not wrong, f"{operation_model.name}: {'; '.join(wrong)}"

    client.meta.events.register("before-parse", compare)
