"""Plays the scenarios of `operations/`: calls of the API in order, as data, and what each must give, whatever client makes
them.

A scenario is a list of steps. A step has:

- `call`: the operation; `service` (kms), `region` (us-east-1);
- `with`: its input, and either `gives`, what must be in the answer, or `fails`, an error's code, and perhaps `saying`, its
  text;
- `as`: a name by which later steps refer to its answer.

`${name.Member.0.Member}` in a text is taken from the answer of the step of that name, or from the scene: `account`,
`in_30_days`, `proxy` (see `test_every_operation.py`). A text that is nothing else keeps the value's type. Bytes are written as
text. `{"$wrapped": TEXT, "$by": KEY}` is the text under a public RSA key (OAEP with SHA-256).

`gives` names some members of an answer; a list must be given whole, and `null` means: not there. Beside values there are
`{"$is": "text" | "bytes" | "a time"}`, `{"$length": N}`, `{"$matches": PATTERN}`, `{"$not": VALUE}`.

What a client doesn't have is left out, and what refers to its answer too.
"""

import datetime
import json
import re
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

TOP = Path(__file__).resolve().parent.parent
DIRECTORY = Path(__file__).with_name("operations")
STEP = {"service", "call", "region", "as", "with", "gives", "fails", "saying"}
REFERENCE = re.compile(r"\$\{(\w+)((?:\.\w+)*)\}")
SCENE = {"account", "in_30_days", "proxy"}


class Refusal(Exception):
    """The error that a service answered a call with."""

    def __init__(self, code: str, message: str):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def scenarios() -> dict[str, list[dict]]:
    """Every scenario, by its name. Mistakes that would leave a step out, or unchecked, are found here."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(DIRECTORY.glob("*.json"))}
    for name, steps in found.items():
        known = set(SCENE)
        for number, step in enumerate(steps):
            place = f"{name}.json, step {number}"
            assert step.keys() <= STEP and {"call", "with"} <= step.keys(), f"{place}: {step.keys() - STEP}"
            assert ("gives" in step) != ("fails" in step), f"{place}: either `gives` or `fails`"
            unknown = references(step) - known
            assert not unknown, f"{place}: there is no {unknown} before it"
            known.add(step.get("as"))
    return found


def references(step: dict) -> set[str]:
    return {match[1] for match in REFERENCE.finditer(json.dumps(step))}


def operations(service: str) -> set[str]:
    """Those that the scenarios call."""
    steps = [step for steps in scenarios().values() for step in steps]
    return {step["call"] for step in steps if step.get("service", "kms") == service}


def served() -> set[str]:
    """The rows of the operation table."""
    table = (TOP / "crates/api/src/operation.rs").read_text().split("\noperations! {\n")[1]
    rows = {match[1] for match in re.finditer(r"^    ([A-Z]\w+), [a-z_]+,", table, re.MULTILINE)}
    assert "GetCallerIdentity" in rows, "has the operation table another form now?"
    return rows


def play(steps: list[dict], client, scene: dict) -> None:
    """Makes the calls with `client.call(service, region, operation, members)`, which gives the answer or raises a Refusal."""
    known, missing = dict(scene), set()
    for number, step in enumerate(steps):
        service, operation = step.get("service", "kms"), step["call"]
        place = f"step {number}, {operation}"
        if operation not in client.operations(service) or references(step) & missing:
            missing.add(step.get("as"))
            continue
        members = resolve(step["with"], known)
        try:
            answer, refusal = client.call(service, step.get("region", "us-east-1"), operation, members), None
        except Refusal as error:
            answer, refusal = None, error
        if "fails" in step:
            assert refusal, f"{place}: expected {step['fails']}, was answered {answer}"
            assert refusal.code == step["fails"], f"{place}: {refusal}"
            if "saying" in step:
                assert refusal.message == resolve(step["saying"], known), f"{place}: {refusal}"
        else:
            assert refusal is None, f"{place}: {refusal}"
            differences = list(compare("answer", answer, resolve(step["gives"], known)))
            assert not differences, f"{place}: {'; '.join(differences)}"
            if "as" in step:
                known[step["as"]] = answer


def resolve(value, known: dict):
    """The value with everything in it that refers to something."""
    if isinstance(value, dict) and "$wrapped" in value:
        key = serialization.load_der_public_key(resolve(value["$by"], known))
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        return key.encrypt(value["$wrapped"].encode(), oaep)
    if isinstance(value, dict):
        return {name: resolve(member, known) for name, member in value.items()}
    if isinstance(value, list):
        return [resolve(item, known) for item in value]
    if not isinstance(value, str):
        return value
    if whole := REFERENCE.fullmatch(value):
        return look_up(whole, known)
    return REFERENCE.sub(lambda match: look_up(match, known), value)


def look_up(match: re.Match, known: dict):
    value = known[match[1]]
    for part in match[2].split(".")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def compare(path: str, found, expected):
    """What differs, as texts."""
    match expected:
        case {"$is": kind}:
            right = {"text": is_text, "bytes": is_bytes, "a time": is_time}[kind](found)
        case {"$length": length}:
            right = found is not None and len(found) == length
        case {"$matches": pattern}:
            right = isinstance(found, str) and re.search(pattern, found)
        case {"$not": value}:
            right = found is not None and found != value
        case dict():
            if not isinstance(found, dict):
                yield f"{path} is {found!r}"
                return
            for name, value in expected.items():
                yield from compare(f"{path}.{name}", found.get(name), value)
            return
        case list() if isinstance(found, list) and len(found) == len(expected):
            for number, value in enumerate(expected):
                yield from compare(f"{path}.{number}", found[number], value)
            return
        case str() if isinstance(found, bytes):
            right = found == expected.encode()
        case _:
            right = found == expected
    if not right:
        yield f"{path} is {found!r}, not {expected!r}"


def is_text(value) -> bool:
    return isinstance(value, str) and value != ""


def is_bytes(value) -> bool:
    return isinstance(value, bytes) and value != b""


def is_time(value) -> bool:
    """Within a year of now: a unit that is wrong by 1000 is not."""
    if not isinstance(value, datetime.datetime):
        return False
    return abs(value - datetime.datetime.now(datetime.timezone.utc)) < datetime.timedelta(days=366)
