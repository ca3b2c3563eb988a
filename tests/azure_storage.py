"""Microsoft's emulator of Azure Blob Storage for the tests, and a host that uses it. The proxy of the S3 tests stands before it, too."""

import base64
import datetime
import http.server
import json
import os
import secrets
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from object_storage import START_S, Storage, names

ACCOUNT = "bullatest"


class Azurite:
    """The emulator, as a process. Nothing of it is on the disk but its log."""

    def __init__(self, directory: Path):
        modules = os.environ.get("BULLA_NODE_MODULES")
        assert modules, "BULLA_NODE_MODULES doesn't say where `npm ci` installed tests/javascript: ./test does both"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.key = base64.b64encode(secrets.token_bytes(64)).decode()
        self.log = open(directory / "azurite.log", "wb")
        self.process = subprocess.Popen(
            ["node", Path(modules) / "azurite/dist/src/blob/main.js", "--blobHost", "127.0.0.1", "--blobPort", str(self.port),
             "--inMemoryPersistence", "--silent", "--disableTelemetry", "--skipApiVersionCheck"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=directory,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(directory), "TMPDIR": str(directory),
                 "AZURITE_ACCOUNTS": f"{ACCOUNT}:{self.key}"},
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < deadline, "the emulator does not start"
                time.sleep(0.05)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = BlobServiceClient(f"{self.url}/{ACCOUNT}", {"account_name": ACCOUNT, "account_key": self.key})

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def put(self, container: str, key: str, content: bytes, **more):
        self.client.get_blob_client(container, key).upload_blob(content, overwrite=True, **more)

    def get(self, container: str, key: str) -> bytes:
        return self.client.get_blob_client(container, key).download_blob().readall()

    def properties(self, container: str, key: str):
        return self.client.get_blob_client(container, key).get_blob_properties()

    def remove(self, container: str, key: str):
        self.client.get_blob_client(container, key).delete_blob()

    def keys(self, container: str) -> list[str]:
        return [blob.name for blob in self.client.get_container_client(container).list_blobs()]

    def begun(self, container: str) -> list[str]:
        """Blobs of which there are blocks that no list names yet."""
        listed = self.client.get_container_client(container).list_blobs(include=["uncommittedblobs"])
        there = self.keys(container)
        return [blob.name for blob in listed if blob.name not in there]

    def token(self, container: str, permissions: str) -> str:
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
        return generate_container_sas(ACCOUNT, container, account_key=self.key, expiry=until,
                                      permission=ContainerSasPermissions.from_string(permissions))


class Tokens:
    """Whoever gives tokens to applications and machines."""

    def __init__(self, answer):
        tokens = self
        self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                url = urllib.parse.urlsplit(self.path)
                tokens.seen.append((self.command, url.path, dict(urllib.parse.parse_qsl(url.query or body)), dict(self.headers)))
                status, said = answer
                said = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class AzureStorage(Storage):
    """The same as of S3: a host with a raw key, and the options that every command needs here."""

    def __init__(self, host, azurite):
        super().__init__(host, azurite)
        host.env |= {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": azurite.key}

    def run(self, command, *args, url=None, check=0, **more):
        done = self.host.run(command, "--az-endpoint-url", f"{url or self.s3.url}/{ACCOUNT}", *args, check=check, **more)
        for secret in (b"CANARY", self.s3.key.encode()):
            assert secret not in done.stderr and secret not in done.stdout
        return done

    def start(self, *args, url=None):
        return subprocess.Popen(
            [str(self.host.binary), "encrypt", "-k", self.key, "--az-endpoint-url", f"{url or self.s3.url}/{ACCOUNT}", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.host.env, cwd=self.host.home)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    running = Azurite(tmp_path_factory.mktemp("azurite"))
    yield running
    running.stop()


@pytest.fixture
def container(azurite):
    name = f"container-{os.getpid()}-{next(names)}"
    azurite.client.create_container(name)
    return name


@pytest.fixture
def storage(fresh_host, azurite):
    return AzureStorage(fresh_host, azurite)
