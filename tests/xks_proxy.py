"""An external key store proxy with its external key manager, for tests: written from AWS's "KMS External Keystore Proxy API
Specification" 1.0.3, and from nothing of the client that it stands against.

It verifies signatures by its own code (appendix A), seals with AES-GCM, binds its metadata as the section "Encrypt" has it,
and computes the integrity value of appendix C. `fault` makes it misbehave.
"""

import base64
import datetime
import hashlib
import hmac
import json
import os
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

HOST = "xks.example.test"
PATH = "/tenant/kms/xks/v1"
PLAINTEXT_MAX, AAD_MAX, METADATA_MAX = 4300, 8192, 20


class Failure(Exception):
    """An error of the specification's table."""

    STATUS = {
        "ValidationException": 400,
        "InvalidStateException": 400,
        "InvalidCiphertextException": 400,
        "InvalidKeyUsageException": 400,
        "AuthenticationFailedException": 401,
        "AccessDeniedException": 403,
        "KeyNotFoundException": 404,
        "InvalidUriPathException": 404,
        "ThrottlingException": 429,
        "UnsupportedOperationException": 501,
        "DependencyTimeoutException": 503,
        "InternalException": 500,
    }

    def __init__(self, name: str, message: str = ""):
        super().__init__(name)
        self.name = name
        self.message = message
        self.status = self.STATUS[name]


@dataclass
class ExternalKey:
    """A key of the external key manager, and its versions, the last of which seals."""

    versions: list = field(default_factory=lambda: [os.urandom(32)])
    spec: str = "AES_256"
    usage: list = field(default_factory=lambda: ["ENCRYPT", "DECRYPT", "WRAP", "UNWRAP"])
    status: str = "ENABLED"


@dataclass
class Fault:
    """What goes wrong, and at which calls (`health`, `metadata`, `encrypt`, `decrypt`; all, when not said)."""

    error: str | None = None  # an error of the specification
    wait_s: float = 0  # before the answer
    raw: bytes | None = None  # this instead of an answer, and the connection ends
    body: bytes | None = None  # status 200 with this body
    close: bool = False  # hangs up
    change: object = None  # a function that changes the answer's JSON
    calls: tuple = ("health", "metadata", "encrypt", "decrypt")


class XksProxy:
    """Serves on loopback with a certificate for `host`, until `close`."""

    def __init__(self, directory: Path, host: str = HOST, path: str = PATH, region: str = "us-east-1"):
        self.host, self.path, self.region = host, path, region
        self.credentials = {new_access_key_id(): new_secret()}
        self.keys: dict[str, ExternalKey] = {}
        self.managers = [{"id": "ekm-1", "model": "Keeper 3000", "healthStatus": "ACTIVE"}]
        self.fault: Fault | None = None
        self.denied: set[str] = set()  # principals that the proxy's own rules refuse
        self.requests: list[dict] = []  # everything that was authenticated: call, key, body
        self.ca_file = directory / "xks-ca.pem"
        certificate = directory / "xks-proxy.pem"
        make_certificates(host, self.ca_file, certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                proxy.answer(self)

            def do_GET(self):
                self.send_error(405)

            def log_message(self, *_):
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def get_request(self):
                # The handshake happens in the connection's own thread.
                stream, address = super().get_request()
                return context.wrap_socket(stream, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, *_):
                pass  # clients that hang up

        self.listener = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.listener.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown()
        self.listener.server_close()

    @property
    def port(self) -> int:
        return self.listener.server_address[1]

    @property
    def endpoint(self) -> str:
        return f"https://{self.host}"

    @property
    def credential(self) -> dict:
        """The newest one, as CreateCustomKeyStore takes it."""
        key_id, secret = list(self.credentials.items())[-1]
        return {"AccessKeyId": key_id, "RawSecretAccessKey": secret}

    def new_credential(self) -> dict:
        self.credentials[new_access_key_id()] = new_secret()
        return self.credential

    def calls(self) -> list[str]:
        return [request["call"] for request in self.requests]

    # One request.

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        call = handler.path.rsplit("/", 1)[-1]
        fault = self.fault if self.fault and call in self.fault.calls else None
        try:
            self.authenticate(handler, body)
            value = self.dispatch(handler.path, json.loads(body))
            if fault and fault.error:
                raise Failure(fault.error, "as the test wants it")
            status = 200
        except Failure as failure:
            status, value = failure.status, {"errorName": failure.name, "errorMessage": failure.message}
        if fault:
            time.sleep(fault.wait_s)
            if fault.change and status == 200:
                fault.change(value)
            if fault.close or fault.raw is not None:
                handler.wfile.write(fault.raw or b"")
                handler.close_connection = True
                return
            if fault.body is not None:
                self.send(handler, 200, fault.body)
                return
        self.send(handler, status, json.dumps(value).encode())

    @staticmethod
    def send(handler, status: int, body: bytes) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def authenticate(self, handler, body: bytes) -> None:
        refused = Failure("AuthenticationFailedException")
        presented = handler.headers.get("authorization", "")
        if not presented.startswith("AWS4-HMAC-SHA256 "):
            raise refused
        parts = dict(part.strip().split("=", 1) for part in presented.split(" ", 1)[1].split(","))
        key_id, day, region, service, end = parts["Credential"].split("/")
        secret = self.credentials.get(key_id)
        date = handler.headers.get("x-amz-date", "")
        signed = parts["SignedHeaders"].split(";")
        if secret is None or (region, service, end) != (self.region, "kms-xks-proxy", "aws4_request"):
            raise refused
        if not {"host", "x-amz-date"} <= set(signed) or handler.headers.get("host") != self.host:
            raise refused
        sent = datetime.datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        age = datetime.datetime.now(datetime.timezone.utc) - sent
        if abs(age) > datetime.timedelta(minutes=5) or not date.startswith(day):
            raise refused
        lines = ["POST", handler.path, ""]
        lines += [f"{name}:{handler.headers[name].strip()}" for name in signed]
        lines += ["", ";".join(signed), hashlib.sha256(body).hexdigest()]
        canonical = hashlib.sha256("\n".join(lines).encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{date}\n{day}/{region}/{service}/{end}\n{canonical}"
        key = b"AWS4" + secret.encode()
        for part in (day, region, service, end):
            key = hmac.digest(key, part.encode(), "sha256")
        if not hmac.compare_digest(hmac.digest(key, to_sign.encode(), "sha256").hex(), parts["Signature"]):
            raise refused

    def dispatch(self, path: str, body: dict) -> dict:
        metadata = body.get("requestMetadata", {})
        require_text(metadata, "kmsRequestId", "kmsOperation")
        if not path.startswith(self.path + "/"):
            raise Failure("InvalidUriPathException")
        match path[len(self.path) + 1 :].split("/"):
            case ["health"]:
                self.requests.append({"call": "health", "key": None, **body})
                return self.health()
            case ["keys", key_id, "metadata" | "encrypt" | "decrypt" as call]:
                self.requests.append({"call": call, "key": key_id, **body})
                require_text(metadata, "awsPrincipalArn", *(["kmsKeyArn"] if call != "metadata" else []))
                if metadata["awsPrincipalArn"] in self.denied:
                    raise Failure("AccessDeniedException")
                key = self.keys.get(key_id)
                if key is None:
                    raise Failure("KeyNotFoundException")
                return getattr(self, f"{call}_with")(key, body)
            case _:
                raise Failure("InvalidUriPathException")

    def health(self) -> dict:
        return {
            "xksProxyFleetSize": 1,
            "xksProxyVendor": "Tests",
            "xksProxyModel": "A proxy of a few lines",
            "ekmVendor": "Tests",
            "ekmFleetDetails": self.managers,
        }

    @staticmethod
    def metadata_with(key: ExternalKey, _body: dict) -> dict:
        return {"keySpec": key.spec, "keyUsage": key.usage, "keyStatus": key.status}

    @staticmethod
    def encrypt_with(key: ExternalKey, body: dict) -> dict:
        plaintext, aad = part(body, "plaintext"), part(body, "additionalAuthenticatedData", optional=True)
        usable(key, "ENCRYPT", body)
        if len(plaintext) > PLAINTEXT_MAX or len(aad) > AAD_MAX:
            raise Failure("UnsupportedOperationException")
        version = len(key.versions) - 1
        metadata = b"v" + struct.pack(">H", version)
        iv = os.urandom(12)
        sealed = AESGCM(key.versions[version]).encrypt(iv, plaintext, bound(aad, metadata))
        ciphertext, tag = sealed[:-16], sealed[-16:]
        answer = {
            "ciphertext": b64(ciphertext),
            "ciphertextMetadata": b64(metadata),
            "initializationVector": b64(iv),
            "authenticationTag": b64(tag),
        }
        match body.get("ciphertextDataIntegrityValueAlgorithm"):
            case None:
                pass
            case "SHA_256":
                integrity = hashlib.sha256(aad + metadata + iv + ciphertext + tag).digest()
                answer["ciphertextDataIntegrityValue"] = b64(integrity)
            case _:
                raise Failure("ValidationException")
        return answer

    @staticmethod
    def decrypt_with(key: ExternalKey, body: dict) -> dict:
        ciphertext, aad = part(body, "ciphertext"), part(body, "additionalAuthenticatedData", optional=True)
        metadata = part(body, "ciphertextMetadata", optional=True)
        iv, tag = part(body, "initializationVector"), part(body, "authenticationTag")
        usable(key, "DECRYPT", body)
        if len(iv) not in (12, 16) or len(tag) != 16 or len(metadata) > METADATA_MAX:
            raise Failure("ValidationException")
        try:
            (version,) = struct.unpack(">H", metadata[1:])
            material = key.versions[version]
            plaintext = AESGCM(material).decrypt(iv, ciphertext + tag, bound(aad, metadata))
        except (InvalidTag, struct.error, IndexError) as cause:
            raise Failure("InvalidCiphertextException") from cause
        return {"plaintext": b64(plaintext)}


def usable(key: ExternalKey, usage: str, body: dict) -> None:
    if body.get("encryptionAlgorithm") != "AES_GCM":
        raise Failure("ValidationException")
    if key.status != "ENABLED":
        raise Failure("InvalidStateException")
    if usage not in key.usage or key.spec != "AES_256":
        raise Failure("InvalidKeyUsageException")


def bound(aad: bytes, metadata: bytes) -> bytes:
    """What the external key manager binds: both, with their lengths."""
    return struct.pack(">H", len(aad)) + aad + bytes([len(metadata)]) + metadata


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def part(body: dict, name: str, optional=False) -> bytes:
    if optional and name not in body:
        return b""
    try:
        return base64.b64decode(body[name], validate=True)
    except (KeyError, TypeError, ValueError) as cause:
        raise Failure("ValidationException") from cause


def require_text(metadata: dict, *names: str) -> None:
    if not all(isinstance(metadata.get(name), str) and metadata[name] for name in names):
        raise Failure("ValidationException")


def new_access_key_id() -> str:
    return base64.b32encode(os.urandom(15)).decode()


def new_secret() -> str:
    return b64(os.urandom(32))


def make_certificates(host: str, ca_file: Path, chain_file: Path) -> None:
    """An authority, and a certificate for `host` with its key."""
    now = datetime.datetime.now(datetime.timezone.utc)

    def build(subject: str, issuer: str, key, signer, extensions) -> x509.Certificate:
        def name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(signer, hashes.SHA256())

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = build("XKS tests", "XKS tests", ca_key, ca_key, [(x509.BasicConstraints(ca=True, path_length=0), True)])
    leaf = build(host, "XKS tests", key, ca_key, [(x509.SubjectAlternativeName([x509.DNSName(host)]), False)])
    pem = serialization.Encoding.PEM
    ca_file.write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain_file.write_bytes(leaf.public_bytes(pem) + private)
