"""What the client tests share: the real binary, servers in directories of their own, and clients for them.

Every process gets an environment made here, so that nothing of the caller's AWS set-up leaks in, and a HOME of its own.
"""

import configparser
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

pytest_plugins = ["object_storage"]

TOP = Path(__file__).resolve().parent.parent
READY_S = 30  # A debug build that makes a store and keys, beside other tests, on two cores.


def target_directory() -> Path:
    """Where cargo builds."""
    return Path(os.environ.get("CARGO_TARGET_DIR", TOP / "target"))


def bulla_binary() -> Path:
    """BULLA_BIN, or what `cargo build -p bulla` last made."""
    given = os.environ.get("BULLA_BIN")
    path = Path(given) if given else target_directory() / "debug" / "bulla"
    if not path.is_file():
        pytest.exit(f"there is no {path}: run `cargo build -p bulla`, or set BULLA_BIN", returncode=2)
    return path.resolve()


@pytest.fixture(scope="session")
def bulla() -> Path:
    return bulla_binary()


def clean_env(home: Path, **more) -> dict:
    """PATH, a HOME, and nothing else but what is given."""
    home.mkdir(parents=True, exist_ok=True)
    env = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "/usr/bin:/bin")]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # Nothing may look for credentials on a cloud machine's metadata service.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
    }
    env.update({name: str(value) for name, value in more.items()})
    return env


class Host:
    """A home directory and commands run there: one user on one machine."""

    def __init__(self, binary: Path, home: Path):
        self.binary = binary
        self.home = home
        self.env = clean_env(home)

    def run(self, *args, input=None, check=0, env=None, cwd=None, timeout=120, wrap=()):
        """Runs `bulla ARGS`; `check` is the exit code it must have (None: any)."""
        command = [*map(str, wrap), str(self.binary), *map(str, args)]
        done = subprocess.run(
            command,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            env={**self.env, **(env or {})},
            cwd=cwd or self.home,
            timeout=timeout,
        )
        if check is not None:
            assert done.returncode == check, (
                f"{' '.join(command)}\nexit {done.returncode}, expected {check}\n"
                f"stdout: {done.stdout[-2000:]!r}\nstderr: {done.stderr.decode(errors='replace')[-2000:]}"
            )
        return done

    def aws(self, *args, check=0, env=None, timeout=60):
        """Runs the real `aws` command."""
        aws = Path(sys.executable).parent / "aws"
        done = subprocess.run(
            [str(aws), *map(str, args)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**self.env, **(env or {})},
            cwd=self.home,
            timeout=timeout,
        )
        if check is not None:
            assert done.returncode == check, (
                f"aws {' '.join(map(str, args))}\nexit {done.returncode}, expected {check}\n"
                f"stdout: {done.stdout[-2000:]!r}\nstderr: {done.stderr.decode(errors='replace')[-2000:]}"
            )
        return done


class Server:
    """A running `bulla serve` over a data directory."""

    def __init__(self, host: Host, directory: Path, *args, env=None, listen="127.0.0.1:0", wrap=()):
        self.host = host
        self.dir = directory
        self.args = args
        self.env = env or {}
        self.listen = listen
        self.wrap = wrap
        self.log = directory.parent / f"{directory.name}.log"
        self.process = None

    def start(self) -> "Server":
        command = [*map(str, self.wrap), str(self.host.binary), "serve", "--data-dir", str(self.dir)]
        command += ["--listen", self.listen, *map(str, self.args)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.host.env, **self.env},
                cwd=self.host.home,
            )
        deadline = time.monotonic() + READY_S
        while not (self.dir / "endpoint").exists():
            if self.process.poll() is not None:
                raise AssertionError(f"bulla serve ended with {self.process.returncode}: {self.stderr()[-3000:]}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"bulla serve is not ready after {READY_S} s: {self.stderr()[-3000:]}")
            time.sleep(0.02)
        return self

    def stop(self, expect=0) -> None:
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"bulla serve did not end within 15 s of SIGTERM: {self.stderr()[-3000:]}")
        assert code == expect, f"bulla serve ended with {code}: {self.stderr()[-3000:]}"

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stderr(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def endpoint(self) -> str:
        text = (self.dir / "endpoint").read_text()
        return text.rstrip("\n")

    @property
    def port(self) -> int:
        return int(self.endpoint.rsplit(":", 1)[1])

    @property
    def credentials(self) -> tuple[str, str]:
        return read_credentials(self.dir / "credentials")

    def client(self, service="kms", region="us-east-1", credentials=None, endpoint=None, **more):
        """A boto3 client that validates nothing itself and never retries: what it raises is the server's answer."""
        key_id, secret = credentials or self.credentials
        return boto3.session.Session().client(
            service,
            endpoint_url=endpoint or self.endpoint,
            region_name=region,
            aws_access_key_id=key_id,
            aws_secret_access_key=secret,
            config=Config(
                parameter_validation=False,
                retries={"total_max_attempts": 1},
                connect_timeout=5,
                read_timeout=30,
            ),
            **more,
        )


def read_credentials(path: Path, profile=None) -> tuple[str, str]:
    parser = configparser.ConfigParser()
    parser.read(path)
    section = parser[profile or parser.sections()[0]]
    return section["aws_access_key_id"], section["aws_secret_access_key"]


@pytest.fixture(scope="session")
def host(bulla, tmp_path_factory) -> Host:
    """The machine on which the shared server runs."""
    return Host(bulla, tmp_path_factory.mktemp("home"))


@pytest.fixture
def fresh_host(bulla, tmp_path) -> Host:
    """A machine on which nothing was done yet."""
    return Host(bulla, tmp_path / "home")


@pytest.fixture(scope="session")
def server(host, tmp_path_factory):
    """One server for all tests of a worker that only call it."""
    with Server(host, tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture(scope="session")
def kms(server):
    return server.client()


@pytest.fixture(scope="session")
def account(server) -> str:
    return server.client("sts").get_caller_identity()["Account"]


@pytest.fixture
def key(kms) -> dict:
    """The metadata of a new symmetric key."""
    return kms.create_key()["KeyMetadata"]


_names = iter(range(10**9))


@pytest.fixture
def alias_name() -> str:
    """An alias name that no other test uses."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    return f"alias/test-{worker}-{os.getpid()}-{next(_names)}"


class Refused:
    """What a refused call said."""

    def __init__(self, error: ClientError):
        self.code = error.response["Error"]["Code"]
        self.message = error.response["Error"]["Message"]
        self.status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        self.headers = error.response["ResponseMetadata"]["HTTPHeaders"]

    def __repr__(self):
        return f"{self.status} {self.code}: {self.message}"


UUID = re.compile(r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")


def refused(call, code: str, message=None, status=400, **members) -> Refused:
    """Calls, and demands that the service refuses with this code and text (a string, or a compiled pattern)."""
    try:
        answer = call(**members)
    except ClientError as error:
        found = Refused(error)
    else:
        raise AssertionError(f"expected {code}, was answered {answer}")
    assert (found.code, found.status) == (code, status), found
    if isinstance(message, re.Pattern):
        assert message.search(found.message), (found, message.pattern)
    elif message is not None:
        assert found.message == message, found
    assert UUID.match(found.headers["x-amzn-requestid"]), found.headers
    return found


def audit_records(directory: Path) -> list[dict]:
    """Every record of a data directory's audit log, oldest first."""
    records = []
    for path in sorted(directory.glob("audit*")):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        for file in files:
            for line in file.read_text().splitlines():
                try:
                    records.append(json.loads(line))
                except json.JSONDecodeError:
                    continue
    return records
