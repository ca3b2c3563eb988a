"""Records of bulla: docs/record-format.md, for Python. Needs `cryptography`; sealed keys need `aws-encryption-sdk` too.

    records = Records(table, EsdkSealer(keyring))
    row = records.seal({"table": "patients", "column": "name", "id": "17"}, b"Ada")
    records.open({"table": "patients", "column": "name", "id": "17"}, row)
"""

import hmac
import os
import threading
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OVERHEAD = 66
_HEAD = 50
_MAX_CONTENT = 1 << 20
_MAX_CONTEXT = 1 << 16
_MAX_RECORDS = 1 << 32
_PURPOSE = "bulla-key"


class RecordError(Exception):
    """A record that doesn't open, or can't be sealed."""


def _bytes(value, most=None, too_long=None):
    """The bytes of what has such: of an array those of its elements."""
    try:
        view = memoryview(value)
    except TypeError:
        raise RecordError(f"bytes are needed, not {type(value).__name__}") from None
    if most is not None and view.nbytes > most:
        raise RecordError(too_long)
    return view.tobytes()


def canonical(context):
    """The one form of a context: its pairs in the order of their names' bytes, each text after its length."""
    try:
        pairs = sorted((str.encode(name), str.encode(value)) for name, value in context.items())
    except (TypeError, UnicodeEncodeError):
        raise RecordError("a context has text only") from None
    out = b"".join(len(text).to_bytes(4, "big") + text for pair in pairs for text in pair)
    if len(out) > _MAX_CONTEXT:
        raise RecordError("the associated data of a record has at most 64 KiB")
    return out


def _derive(key, label, context=b""):
    """SP 800-108, counter mode, one block of 32 bytes."""
    return hmac.digest(key, b"\0\0\0\1" + label + b"\0" + context + b"\0\0\1\0", "sha256")


def key_id(key):
    """The id of a record key."""
    return _derive(key, b"bulla/record-key-id/v1")


def key_id_of(record):
    """The id of the record key that a record needs: for finding the rows that are still to be sealed anew."""
    return _record(record)[2:34]


def _record(record):
    record = _bytes(record, OVERHEAD + _MAX_CONTENT, "not a sealed record")
    if record[:2] != b"\1\1" or len(record) < OVERHEAD:
        raise RecordError("not a sealed record")
    return record


def seal_with(key, context, content):
    """Seals under a record key that the caller has."""
    content = _bytes(content, _MAX_CONTENT, "a record holds at most 1 MiB")
    salt = os.urandom(16)
    head = b"\1\1" + key_id(key) + salt
    cipher = AESGCM(_derive(key, b"bulla/record/v1", salt))
    return head + cipher.encrypt(bytes(12), content, head + canonical(context))


def open_with(key, context, record):
    """Opens with the record key that `key_id_of` names."""
    record = _record(record)
    if not hmac.compare_digest(key_id(key), record[2:34]):
        raise RecordError("this is another key than the record's")
    head, sealed = record[:_HEAD], record[_HEAD:]
    cipher = AESGCM(_derive(key, b"bulla/record/v1", head[34:]))
    try:
        return cipher.decrypt(bytes(12), sealed, head + canonical(context))
    except InvalidTag:
        raise RecordError("the record is not authentic: it was changed, or belongs to another row, column or context") from None


def blind_index_with(key, column, value):
    """The 16 bytes under which a value of a column is found."""
    where = canonical(column)
    value = _bytes(value)
    return hmac.digest(key, b"bulla/blind-index/v1\0" + len(where).to_bytes(4, "big") + where + value, "sha256")[:16]


class EsdkSealer:
    """Seals record keys as messages of the AWS Encryption SDK, under a keyring of its material providers library."""

    def __init__(self, keyring, context=None):
        import aws_encryption_sdk

        self._client = aws_encryption_sdk.EncryptionSDKClient(
            commitment_policy=aws_encryption_sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        )
        self._suite = aws_encryption_sdk.Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
        self._keyring = keyring
        self._context = dict(context or {})
        if _PURPOSE in self._context:
            raise RecordError(f"the context name {_PURPOSE} is reserved")

    def seal(self, purpose, key):
        sealed, _ = self._client.encrypt(
            source=key, keyring=self._keyring, algorithm=self._suite, encryption_context={**self._context, _PURPOSE: purpose}
        )
        return sealed

    def open(self, purpose, sealed):
        key, header = self._client.decrypt(source=bytes(sealed), keyring=self._keyring)
        for name, value in {**self._context, _PURPOSE: purpose}.items():
            if header.encryption_context.get(name) != value:
                raise RecordError(f"the sealed key has another value for {name}")
        return key


class Records:
    """Seals and opens records, with the keys of a table.

    `table` has `get(id)`, which gives the sealed key or None, and `add(id, sealed)`, after which it is durable; `sealer` is an
    `EsdkSealer`. Python can't wipe memory: keys are dropped at their time, and stay until it is used again.
    """

    def __init__(self, table, sealer, max_age_seconds=3600, max_records=1 << 24, max_keys=1000):
        self._table, self._sealer = table, sealer
        self._max_age, self._max_keys = max_age_seconds, max_keys
        self._max_records = min(max_records, _MAX_RECORDS)
        self._lock = threading.Lock()
        self._current = None
        self._opened = {}

    def seal(self, context, content):
        return seal_with(self._sealing_key(), context, content)

    def open(self, context, record):
        wanted = key_id_of(record)
        with self._lock:
            key, ends = self._opened.get(wanted, (None, 0))
        if key is None or time.monotonic() >= ends:
            key = self._open_key("records/v1", wanted)
            with self._lock:
                while len(self._opened) >= self._max_keys:
                    del self._opened[next(iter(self._opened))]
                self._opened[wanted] = (key, time.monotonic() + self._max_age)
        return open_with(key, context, record)

    def forget_keys(self):
        """What is sealed next is sealed under a new key."""
        with self._lock:
            self._current = None
            self._opened.clear()

    def make_blind_index(self):
        """Makes the key of a blind index, and gives its id, to be kept in the configuration."""
        return self._make_key("blind-index/v1")[1]

    def blind_index(self, id):
        """A function of column and value, which gives the index."""
        key = self._open_key("blind-index/v1", id)
        return lambda column, value: blind_index_with(key, column, value)

    def _sealing_key(self):
        with self._lock:
            if self._current is None or time.monotonic() >= self._current[1] or self._current[2] >= self._max_records:
                key, _ = self._make_key("records/v1")
                self._current = [key, time.monotonic() + self._max_age, 0]
            self._current[2] += 1
            return self._current[0]

    def _make_key(self, purpose):
        key = os.urandom(32)
        id = key_id(key)
        self._table.add(id, self._sealer.seal(purpose, key))
        return key, id

    def _open_key(self, purpose, id):
        sealed = self._table.get(id)
        if sealed is None:
            raise RecordError(f"the key table has no key {id.hex()}")
        key = self._sealer.open(purpose, sealed)
        if len(key) != 32 or not hmac.compare_digest(key_id(key), id):
            raise RecordError(f"the key table has another key under the id {id.hex()}")
        return key
