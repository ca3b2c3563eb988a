"""TLS: a private CA of the server's own, certificates given, and a change of certificate under way."""

import datetime
import ipaddress
import json
import signal
import socket
import ssl
import time

import boto3
import pytest
from botocore.config import Config
from conftest import Server
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def client(server, ca):
    key_id, secret = server.credentials
    return boto3.session.Session().client(
        "kms", endpoint_url=server.endpoint, region_name="us-east-1", aws_access_key_id=key_id,
        aws_secret_access_key=secret, verify=str(ca), config=Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture
def tls_auto(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data", "--tls-auto", "localhost,127.0.0.1") as server:
        yield server


def test_tls_auto_is_trusted_by_its_ca_only(tls_auto):
    assert tls_auto.endpoint.startswith("https://")
    assert client(tls_auto, tls_auto.dir / "ca.pem").generate_random(NumberOfBytes=8)
    system = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", tls_auto.port), timeout=10) as raw, pytest.raises(ssl.SSLCertVerificationError):
        system.wrap_socket(raw, server_hostname="localhost")


def test_tls_auto_keeps_its_ca_over_a_restart(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data", "--tls-auto", "localhost,127.0.0.1") as server:
        before = (server.dir / "ca.pem").read_bytes()
    with Server(fresh_host, tmp_path / "data", "--tls-auto", "localhost,127.0.0.1") as server:
        assert (server.dir / "ca.pem").read_bytes() == before
        assert client(server, server.dir / "ca.pem").generate_random(NumberOfBytes=8)


def test_no_private_key_lies_open(tls_auto):
    for path in tls_auto.dir.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes():
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_aws_command_trusts_through_the_profile_and_the_environment(fresh_host, tls_auto):
    fresh_host.run("profile", "tls", "--data-dir", tls_auto.dir)
    done = fresh_host.aws("sts", "get-caller-identity", "--profile", "tls")
    assert json.loads(done.stdout)["Account"]
    key_id, secret = tls_auto.credentials
    env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": "us-east-1"}
    args = ("kms", "list-keys", "--endpoint-url", tls_auto.endpoint)
    refused = fresh_host.aws(*args, env=env, check=None)
    assert refused.returncode != 0 and b"SSL" in refused.stderr
    fresh_host.aws(*args, env={**env, "AWS_CA_BUNDLE": str(tls_auto.dir / "ca.pem")})


@pytest.mark.parametrize("how", ["--ca-file", "AWS_CA_BUNDLE", "profile"])
def test_bulla_trusts(fresh_host, tls_auto, how):
    key_id, secret = tls_auto.credentials
    env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    args = ["--endpoint-url", tls_auto.endpoint]
    if how == "--ca-file":
        args += ["--ca-file", tls_auto.dir / "ca.pem"]
    elif how == "AWS_CA_BUNDLE":
        env["AWS_CA_BUNDLE"] = str(tls_auto.dir / "ca.pem")
    else:
        fresh_host.run("profile", "tls", "--data-dir", tls_auto.dir)
        args, env = ["--profile", "tls"], {}
    fresh_host.run("key", "create", f"alias/{how.strip('-').lower().replace('_', '-')}", *args, env=env)


def test_bulla_does_not_trust_an_unknown_ca(fresh_host, tls_auto):
    key_id, secret = tls_auto.credentials
    env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    done = fresh_host.run("key", "list", "--endpoint-url", tls_auto.endpoint, "--kms-wait", "1", env=env, check=2)
    assert done.stderr.count(b"\n") == 1, done.stderr


def test_plain_http_at_the_tls_port_is_not_answered(tls_auto):
    with socket.create_connection(("127.0.0.1", tls_auto.port), timeout=10) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not raw.recv(100).startswith(b"HTTP/1.1 2")


def test_old_protocols_are_refused(tls_auto):
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with socket.create_connection(("127.0.0.1", tls_auto.port), timeout=10) as raw, pytest.raises(ssl.SSLError):
            context.wrap_socket(raw)


def certificate(directory, name, serial):
    """A self-signed certificate for localhost, written as cert.pem and key.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(serial).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(key, hashes.SHA256())
    )
    (directory / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (directory / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (directory / "key.pem").chmod(0o600)


def served_serial(server) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw, context.wrap_socket(raw) as tls:
        return x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number


def wait_for(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_a_new_certificate_is_taken_up_without_dropping_connections(fresh_host, tmp_path):
    certificate(tmp_path, "one", 1001)
    given = ["--tls-cert", tmp_path / "cert.pem", "--tls-key", tmp_path / "key.pem"]
    with Server(fresh_host, tmp_path / "data", *given) as server:
        assert served_serial(server) == 1001
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as raw, context.wrap_socket(raw) as open_before:
            certificate(tmp_path, "two", 1002)
            server.process.send_signal(signal.SIGHUP)
            assert wait_for(lambda: served_serial(server) == 1002)
            open_before.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            assert open_before.recv(100).startswith(b"HTTP/1.1 4")
            # A file that is no certificate: the old one stays, and the log says so.
            (tmp_path / "cert.pem").write_text("no certificate")
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.5)
            assert served_serial(server) == 1002
            assert "cert" in server.stderr()
        certificate(tmp_path, "three", 1003)
        # Without a signal: the change is noticed.
        assert wait_for(lambda: served_serial(server) == 1003, 90), "a changed certificate was not noticed within 90 s"


@pytest.mark.parametrize("given", [["--tls-cert", "missing.pem", "--tls-key", "missing.key"], ["--tls-cert", "cert.pem"]])
def test_unusable_certificates_stop_the_start(fresh_host, tmp_path, given):
    done = fresh_host.run("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", *given, check=None, timeout=30)
    assert done.returncode not in (0, 101)
    assert b"panicked" not in done.stderr
