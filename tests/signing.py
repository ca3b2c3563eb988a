"""A second, small implementation of Signature Version 4, for requests that no SDK would send.

Source: AWS, "Create a signed AWS API request" (IAM user guide).
"""

import datetime
import hashlib
import hmac
import http.client
import json
from urllib.parse import urlsplit


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def amz_date(offset_s: float = 0) -> str:
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=offset_s)
    return now.strftime("%Y%m%dT%H%M%SZ")


def sign(
    host: str,
    credentials: tuple[str, str],
    target: str | None,
    body: bytes,
    *,
    method="POST",
    path="/",
    query="",
    region="us-east-1",
    service="kms",
    date: str | None = None,
    content_type="application/x-amz-json-1.1",
    extra: dict | None = None,
    unsigned=(),
) -> dict:
    """The headers of a signed request. `extra` headers are signed too, but for those named in `unsigned`."""
    key_id, secret = credentials
    date = date or amz_date()
    headers = {"host": host, "x-amz-date": date, "content-type": content_type}
    if target is not None:
        headers["x-amz-target"] = target
    headers.update(extra or {})
    signed = sorted(name for name in headers if name not in unsigned)
    canonical = "\n".join(
        [
            method,
            path,
            query,
            *[f"{name}:{' '.join(headers[name].split())}" for name in signed],
            "",
            ";".join(signed),
            hashlib.sha256(body).hexdigest(),
        ]
    )
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = _hmac(("AWS4" + secret).encode(), date[:8])
    for part in (region, service, "aws4_request"):
        key = _hmac(key, part)
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={';'.join(signed)}, Signature={signature}"
    )
    return headers


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.header_names = [name for name, _ in response.getheaders()]
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return self.json["__type"].rsplit("#", 1)[-1]

    @property
    def message(self) -> str:
        found = self.json
        return found.get("message", found.get("Message", ""))

    def __repr__(self):
        return f"{self.status} {self.headers.get('x-amzn-errortype')} {self.body[:500]!r}"


def send(endpoint: str, headers: dict, body: bytes, method="POST", path="/", timeout=30) -> Answer:
    """Sends exactly these headers (and Content-Length) and reads the answer."""
    connection = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=timeout)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                connection.putheader(name, one)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def call(server, operation: str, members, credentials=None, **signing) -> Answer:
    """Signs and sends one operation; `members` is JSON text or a value."""
    body = members if isinstance(members, bytes) else json.dumps(members).encode()
    host = urlsplit(server.endpoint).netloc
    headers = sign(host, credentials or server.credentials, f"TrentService.{operation}", body, **signing)
    return send(server.endpoint, headers, body)
