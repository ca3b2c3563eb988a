"""A real S3 server for the tests, and a proxy before it that fails as it is told."""

import http.client
import http.server
import os
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path
from typing import NamedTuple

import boto3
import pytest
from botocore.config import Config

START_S = 60
# Bytes of the first part of an upload whose length isn't known. What is shorter is no upload in parts.
PART = 8 << 20
# Objects on one page of a list.
PAGE = 10
names = iter(range(10**9))
# Runs a command, and says how much memory it had at most.
TIMED = """
import os, resource, sys
pid = os.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(pid, 0)
print("peak", usage.ru_maxrss, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def s3_python() -> Path:
    """The interpreter of the virtual environment with the server, made by `./test`."""
    return Path(os.environ["BULLA_S3_VENV"]) / "bin" / "python"


class S3:
    """moto's server, as a process."""

    def __init__(self, directory: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = open(directory / "s3.log", "wb")
        self.process = subprocess.Popen(
            [s3_python(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=directory,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(directory), "TMPDIR": str(directory),
                 # Lists have several pages, though tests have few objects.
                 "MOTO_S3_DEFAULT_MAX_KEYS": str(PAGE)},
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the S3 server does not start"
                time.sleep(0.05)
        self.client = boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="x",
                                   aws_secret_access_key="y", config=Config(retries={"total_max_attempts": 3}))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return name

    def uploads(self, bucket: str) -> list:
        """Uploads in parts that are neither complete nor aborted."""
        return self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])

    def keys(self, bucket: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def get(self, bucket: str, key: str) -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()


class Answer(NamedTuple):
    """Said in place of what the server says; `done`: the request was forwarded all the same."""

    status: int
    body: str = ""
    done: bool = False
    headers: tuple = ()


class Endless(NamedTuple):
    """An answer that goes on until the client has had enough."""

    status: int


class Without(NamedTuple):
    """The request is forwarded without this header."""

    header: str


class Instead(NamedTuple):
    """The request is forwarded with this in its query, and without a signature of its own."""

    query: str


class Proxy:
    """Forwards requests. `fault(method, path, query, number)` says of each what is to go wrong: None, a status and a code, or "cut": the
    answer, and the connection, end in the middle of the body; "lost": there is no answer, though the request was done; one of the
    above; or a function, which is called before the request is forwarded."""

    def __init__(self, s3: S3, fault):
        proxy = self
        self.seen = []
        self.lock = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                path, _, query = self.path.partition("?")
                with proxy.lock:
                    proxy.seen.append((self.command, path, query, {name.lower(): value for name, value in self.headers.items()}))
                    wrong = fault(self.command, path, urllib.parse.parse_qs(query, keep_blank_values=True), len(proxy.seen))
                if callable(wrong):
                    wrong()
                    wrong = None
                if isinstance(wrong, Endless):
                    self.go_on(wrong.status)
                    return
                if isinstance(wrong, Answer) and not wrong.done:
                    self.answer(wrong.status, wrong.headers, wrong.body.encode())
                    return
                if type(wrong) is tuple:
                    status, code = wrong
                    text = f"<Error><Code>{code}</Code><Message>as the test says</Message></Error>".encode()
                    self.answer(status, [], b"" if self.command == "HEAD" else text)
                    return
                upstream = http.client.HTTPConnection("127.0.0.1", s3.port, timeout=60)
                left_out, target = wrong.header if isinstance(wrong, Without) else None, self.path
                if isinstance(wrong, Instead):
                    left_out, target = "authorization", f"{path}?{query}{'&' if query else ''}{wrong.query}"
                headers = {name: value for name, value in self.headers.items() if name.lower() != left_out}
                upstream.request(self.command, target, body, headers)
                answer = upstream.getresponse()
                content = answer.read()
                headers = [(name, value) for name, value in answer.getheaders()
                           if name.lower() not in ("connection", "transfer-encoding", "date", "server")]
                upstream.close()
                if wrong == "lost":
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                if isinstance(wrong, Answer):
                    self.answer(wrong.status, wrong.headers, wrong.body.encode())
                    return
                self.answer(answer.status, headers, content, cut=wrong == "cut")

            def go_on(self, status):
                self.close_connection = True
                self.send_response(status)
                self.send_header("Content-Length", str(1 << 50))
                self.end_headers()
                self.wfile.write(b"<Error><Code>X</Code><Message>")
                while True:
                    self.wfile.write(b"A" * (1 << 20))

            def answer(self, status, headers, content, cut=False):
                self.send_response(status)
                for name, value in headers:
                    if self.command == "HEAD" or name.lower() != "content-length":
                        self.send_header(name, value)
                if self.command != "HEAD":
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if cut else content)
                if cut:
                    self.close_connection = True
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                """A client that goes away is what some tests are about."""

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def count(self, method: str, word: str = "") -> int:
        """Requests with this method, and this word in their query."""
        return sum(1 for seen, _, query, _ in self.seen if seen == method and word in query)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    running = S3(tmp_path_factory.mktemp("s3"))
    yield running
    running.stop()


@pytest.fixture
def bucket(s3):
    return s3.bucket(f"bucket-{os.getpid()}-{next(names)}")


class Storage:
    """A host with a raw key, and the options that every command needs here."""

    def __init__(self, host, s3):
        self.host = host
        self.s3 = s3
        (host.home / "key").touch(0o600)
        (host.home / "key").write_bytes(os.urandom(32))
        self.key = "raw-aes:test:key:" + str(host.home / "key")
        self.aws({"default": ("AKIDEXAMPLE", "CANARY-OF-A-SECRET")})

    def aws(self, credentials, config=""):
        """Writes aws's files."""
        directory = self.host.home / ".aws"
        directory.mkdir(exist_ok=True)
        (directory / "config").write_text("[default]\nregion = us-east-1\n" + config)
        sections = (f"[{name}]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
                    for name, (key, secret) in credentials.items())
        (directory / "credentials").write_text("".join(sections))

    def run(self, command, *args, url=None, check=0, **more):
        done = self.host.run(command, "--s3-endpoint-url", url or self.s3.url, *args, check=check, **more)
        assert b"CANARY" not in done.stderr and b"CANARY" not in done.stdout
        return done

    def seal(self, *args, **more):
        return self.run("encrypt", "-k", self.key, *args, **more)

    def open(self, *args, **more):
        return self.run("decrypt", "-k", self.key, *args, **more)

    def opens(self, key, url, *args):
        """What is opened with this key; None if it doesn't open."""
        done = self.run("decrypt", "-k", key, "-o", "-", *args, url, check=None)
        assert done.returncode in (0, 3), done.stderr
        return done.stdout if done.returncode == 0 else None

    def start(self, *args, url=None):
        return subprocess.Popen(
            [str(self.host.binary), "encrypt", "-k", self.key, "--s3-endpoint-url", url or self.s3.url, *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.host.env, cwd=self.host.home)


@pytest.fixture
def storage(fresh_host, s3):
    return Storage(fresh_host, s3)


@pytest.fixture
def other_key(storage):
    path = storage.host.home / "other"
    path.touch(0o600)
    path.write_bytes(os.urandom(32))
    return f"raw-aes:test:other:{path}"


def one_line(done) -> str:
    text = done.stderr.decode() if hasattr(done, "returncode") and isinstance(done.stderr, bytes) else done
    lines = text.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("bulla: "), text
    return lines[0]
