"""Clients of AWS that make any call of the API: the operation by its name, its input and its answer as Python values.

Bytes are `bytes`, times are `datetime`. An error that the service answers with is a `Refusal`.
"""

import base64
import datetime
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import boto3
import botocore.session
import exact
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import Shape
from conftest import TOP, Server, clean_env, target_directory
from scenario import Refusal

MODELS = {service: botocore.session.get_session().get_service_model(service) for service in ("kms", "iam", "sts")}


class Boto3:
    """boto3, as people set it up, in this process. What it is answered is compared with AWS's model, as `exact.py` says."""

    def __init__(self, server: Server, credentials: tuple[str, str], _directory: Path):
        session = boto3.session.Session(*credentials)
        config = Config(retries={"total_max_attempts": 1})
        self.new = lambda service, region: session.client(
            service, region_name=region, endpoint_url=server.endpoint, config=config
        )
        self.made = {}

    def operations(self, service: str) -> set[str]:
        return set(self.client(service, "us-east-1").meta.method_to_api_mapping.values())

    def client(self, service: str, region: str):
        if (service, region) not in self.made:
            self.made[service, region] = self.new(service, region)
            exact.check(self.made[service, region])
        return self.made[service, region]

    def call(self, service: str, region: str, operation: str, members: dict) -> dict:
        try:
            answer = getattr(self.client(service, region), xform_name(operation))(**members)
        except ClientError as error:
            raise Refusal(error.response["Error"]["Code"], error.response["Error"]["Message"]) from error
        answer.pop("ResponseMetadata")
        return answer

    def close(self) -> None:
        for client in self.made.values():
            client.close()


class AwsCommand:
    """The `aws` command, called anew each time: members as options, bytes from files."""

    ERROR = re.compile(r"An error occurred \((\w+)\) when calling the (\w+) operation(?: \(.*\))?: ?(.*)", re.DOTALL)

    def __init__(self, server: Server, credentials: tuple[str, str], directory: Path):
        self.endpoint = server.endpoint
        self.directory = directory
        # An URL is a value, not a place to fetch it from.
        config = directory / "config"
        config.write_text("[default]\ncli_follow_urlparam = off\n")
        env = clean_env(
            directory / "home",
            AWS_CONFIG_FILE=config,
            AWS_ACCESS_KEY_ID=credentials[0],
            AWS_SECRET_ACCESS_KEY=credentials[1],
            AWS_MAX_ATTEMPTS=1,
        )
        self.process = Conversation([sys.executable, Path(__file__).with_name("aws_command.py")], env)

    def operations(self, service: str) -> set[str]:
        return set(self.process.hello["operations"][service])

    def call(self, service: str, region: str, operation: str, members: dict) -> dict:
        model = MODELS[service].operation_model(operation)
        command = [service, xform_name(operation, "-"), "--endpoint-url", self.endpoint, "--region", region]
        command += ["--output", "json", "--no-paginate"]
        for name, value in members.items():
            command += self.option(name, value, model.input_shape.members[name])
        done = self.process.ask(command)
        if done["code"] == 0:
            return from_json(json.loads(done["stdout"] or "{}"), model.output_shape)
        error = self.ERROR.search(done["stderr"].strip())
        assert error and error[2] == operation, f"{command}\n{done['stderr']}"
        raise Refusal(error[1], error[3])

    def option(self, name: str, value, shape: Shape) -> list[str]:
        option = xform_name(name, "-")
        match shape.type_name:
            case "boolean":
                return [f"--{option}" if value else f"--no-{option}"]
            case "blob":
                file = self.directory / option
                file.write_bytes(value if isinstance(value, bytes) else value.encode())
                return [f"--{option}", f"fileb://{file}"]
            case "structure" | "list" | "map":
                return [f"--{option}", json.dumps(value)]
            case _:
                return [f"--{option}", str(value)]

    def close(self) -> None:
        self.process.close()


def from_json(value, shape: Shape | None):
    """What the `aws` command printed, with bytes and times as such."""
    match shape.type_name if shape else None:
        case "structure":
            return {name: from_json(member, shape.members[name]) for name, member in value.items()}
        case "list":
            return [from_json(item, shape.member) for item in value]
        case "blob":
            return base64.b64decode(value)
        case "timestamp" if isinstance(value, str):
            return datetime.datetime.fromisoformat(value)
        case "timestamp":
            return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
        case _:
            return value


class Driver:
    """An SDK of another language, in a process that makes the calls: see `javascript/driver.cjs` and `examples/rust_sdk` of
    the crate bulla. Those know some of the services."""

    def __init__(self, command: list, server: Server, credentials: tuple[str, str], directory: Path, **env):
        key = dict(zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), credentials))
        self.process = Conversation(command, clean_env(directory / "home", ENDPOINT=server.endpoint, **key, **env))

    def operations(self, service: str) -> set[str]:
        return set(self.process.hello["operations"].get(service, ()))

    def call(self, service: str, region: str, operation: str, members: dict) -> dict:
        shape = MODELS[service].operation_model(operation).input_shape
        request = {"service": service, "region": region, "operation": operation, "input": marked(members, shape)}
        done = self.process.ask(request)
        if "error" in done:
            raise Refusal(done["error"]["code"], done["error"]["message"])
        return unmarked(done["answer"])

    def close(self) -> None:
        self.process.close()


def javascript(server: Server, credentials: tuple[str, str], directory: Path) -> Driver:
    """The AWS SDK for JavaScript, version 3."""
    modules = os.environ.get("BULLA_NODE_MODULES")
    assert modules, "BULLA_NODE_MODULES doesn't say where `npm ci` installed tests/javascript: ./test does both"
    driver = Path(__file__).with_name("javascript") / "driver.cjs"
    return Driver(["node", driver], server, credentials, directory, NODE_PATH=modules)


def rust(server: Server, credentials: tuple[str, str], directory: Path, **env) -> Driver:
    """The AWS SDK for Rust."""
    given = os.environ.get("BULLA_RUST_SDK")
    driver = Path(given) if given else target_directory() / "debug/examples/rust_sdk"
    assert driver.is_file(), f"there is no {driver}: cargo build -p bulla --example rust_sdk, or set BULLA_RUST_SDK"
    return Driver([driver], server, credentials, directory, **env)


def rust_operations() -> set[str]:
    """Those of the crate aws-sdk-kms that is in `Cargo.lock`, by its sources."""
    cargo = ["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", TOP / "Cargo.toml"]
    packages = json.loads(subprocess.run(cargo, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    (manifest,) = [package["manifest_path"] for package in packages if package["name"] == "aws-sdk-kms"]
    files = (Path(manifest).parent / "src/operation").glob("*.rs")
    names = [re.search(r"^pub struct (\w+);$", file.read_text(), re.MULTILINE) for file in files]
    return {name[1] for name in names}


def marked(value, shape: Shape):
    """An input as JSON that tells bytes and times from texts."""
    match shape.type_name:
        case "structure":
            return {name: marked(member, shape.members[name]) for name, member in value.items()}
        case "list":
            return [marked(item, shape.member) for item in value]
        case "blob":
            return {"$bytes": base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()}
        case "timestamp":
            return {"$time": value}
        case _:
            return value


def unmarked(value):
    """An answer in such JSON."""
    match value:
        case {"$bytes": text}:
            return base64.b64decode(text)
        case {"$time": text}:
            return datetime.datetime.fromisoformat(text)
        case dict():
            return {name: unmarked(member) for name, member in value.items()}
        case list():
            return [unmarked(item) for item in value]
        case _:
            return value


class Conversation:
    """A process that writes a line of JSON when it is ready, and one for each that it reads."""

    def __init__(self, command: list, env: dict[str, str]):
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True
        )
        self.hello = self.read()

    def ask(self, question) -> dict:
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.read()

    def read(self) -> dict:
        line = self.process.stdout.readline()
        assert line, f"{self.process.args} ended with {self.process.wait(timeout=15)}"
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        assert self.process.wait(timeout=15) == 0
        self.process.stdout.close()
