"""docs/columns.md on a real PostgreSQL: its SQL and programs as they stand there, the same rows from Python and Node.js, and the
golden records of the library in Rust."""

import array
import base64
import json
import os
import re
import subprocess
import sys

import boto3
import psycopg
import pytest
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
from conftest import TOP, clean_env
from postgres import Postgres

sys.path.insert(0, str(TOP / "clients" / "python"))
import bulla_records

PAGE = (TOP / "docs" / "columns.md").read_text()
GOLDEN = json.loads((TOP / "crates/envelope/tests/golden/records-v1.json").read_text())


def blocks(language: str) -> str:
    """The page's programs in one language, one after the other."""
    return "\n".join(text for name, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) if name == language)


@pytest.fixture(scope="module")
def postgres():
    with Postgres() as running:
        with psycopg.connect(running.dsn, autocommit=True) as connection:
            connection.execute(blocks("sql"))
        yield running


@pytest.fixture
def application(postgres, server, kms, key):
    """The page's Python, run in a process whose database it is."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE patients, bulla_keys RESTART IDENTITY")
        page = {"connection": connection, "KMS_KEY": key["Arn"], "kms": kms}
        exec(compile(blocks("python"), "docs/columns.md", "exec"), page)
        yield page


class Node:
    """The page's JavaScript; its queries are asked here."""

    def __init__(self, connection, server, key_arn, home):
        modules = os.environ.get("BULLA_NODE_MODULES")
        assert modules, "BULLA_NODE_MODULES doesn't say where `npm ci` installed tests/javascript: ./test does both"
        key_id, secret = server.credentials
        env = clean_env(
            home, NODE_PATH=modules, ENDPOINT=server.endpoint, KMS_KEY=key_arn, PAGE=blocks("javascript"),
            MODULE=TOP / "clients/node/bulla-records.mjs", AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret,
        )
        self.connection = connection
        script = TOP / "tests/javascript/records.mjs"
        self.process = subprocess.Popen(["node", script], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, **job):
        job = {name: value.hex() if isinstance(value, bytes) else value for name, value in job.items()}
        self._tell(job)
        while "query" in (line := json.loads(self.process.stdout.readline())):
            sql = re.sub(r"\$\d", "%s", line["query"])
            cursor = self.connection.execute(sql, [bytes.fromhex(value) for value in line["values"]])
            columns = [column.name for column in cursor.description or []]
            rows = cursor.fetchall() if columns else []
            self._tell([dict(zip(columns, (value.hex() for value in row))) for row in rows])
        if "error" in line:
            raise ValueError(line["error"])
        return bytes.fromhex(line["answer"])

    def _tell(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()


@pytest.fixture
def node(application, server, key, tmp_path):
    started = Node(application["connection"], server, key["Arn"], tmp_path / "home")
    yield started
    started.process.stdin.close()
    assert started.process.wait(timeout=20) == 0


def test_rows_are_found_opened_and_nowhere_readable(application, postgres):
    records, connection = application["records"], application["connection"]
    email_index = records.blind_index(records.make_blind_index())
    ids = [application["add_patient"](email_index, f"Patient {n}", f"P{n}@example.org", "private") for n in range(20)]
    assert application["find_by_email"](email_index, "p7@EXAMPLE.org") == (ids[7], "Patient 7")
    assert application["find_by_email"](email_index, "p77@example.org") is None
    with pytest.raises(psycopg.errors.UniqueViolation):
        application["add_patient"](email_index, "Somebody else", "P7@example.org", "")
    note = connection.execute("SELECT note FROM patients WHERE id = %s", (ids[3],)).fetchone()[0]
    assert records.open(application["place"]("note", ids[3]), base64.b64decode(note)) == b"private"
    assert connection.execute("SELECT count(*) FROM bulla_keys").fetchone() == (2,), "one for records, one for the index"
    dump = b"".join(bytes(str(row), "utf8") for row in connection.execute("SELECT name, email, email_index, note FROM patients"))
    assert b"Patient" not in dump and b"example.org" not in dump and b"private" not in dump


def test_a_moved_or_changed_row_does_not_open(application):
    records, connection, place = application["records"], application["connection"], application["place"]
    email_index = records.blind_index(records.make_blind_index())
    one, other = (application["add_patient"](email_index, name, f"{name}@x", "") for name in ("Ada", "Ida"))
    connection.execute("UPDATE patients SET name = (SELECT name FROM patients WHERE id = %s) WHERE id = %s", (one, other))
    moved = connection.execute("SELECT name FROM patients WHERE id = %s", (other,)).fetchone()[0]
    with pytest.raises(bulla_records.RecordError, match="another row"):
        records.open(place("name", other), moved)
    assert records.open(place("name", one), moved) == b"Ada"
    # A key table in which another key stands under the id: one for records, then the one of the index.
    wanted = bulla_records.key_id_of(moved)
    ((index_key,),) = connection.execute("SELECT sealed FROM bulla_keys WHERE id <> %s", (wanted,)).fetchall()
    records.forget_keys()
    another = bulla_records.key_id_of(records.seal(place("name", 3), b"Eda"))
    (another_key,) = connection.execute("SELECT sealed FROM bulla_keys WHERE id = %s", (another,)).fetchone()
    for sealed, told in ((another_key, "another key"), (index_key, "another value for bulla-key")):
        connection.execute("UPDATE bulla_keys SET sealed = %s WHERE id = %s", (sealed, wanted))
        records.forget_keys()
        with pytest.raises(bulla_records.RecordError, match=told):
            records.open(place("name", one), moved)
    connection.execute("DELETE FROM bulla_keys WHERE id = %s", (wanted,))
    records.forget_keys()
    with pytest.raises(bulla_records.RecordError, match="no key"):
        records.open(place("name", one), moved)


def test_node_reads_what_python_wrote_and_the_other_way_round(application, node):
    records, place = application["records"], application["place"]
    for text in ("", "Ada", "Żółć €", "x" * 10_000):
        row = records.seal(place("name", 17), text.encode())
        assert node(do="open", column="name", id=17, bytes=row) == text.encode()
        row = node(do="seal", column="name", id=17, bytes=text.encode())
        assert records.open(place("name", 17), row) == text.encode()
        with pytest.raises(ValueError, match="not authentic"):
            node(do="open", column="name", id=18, bytes=row)
    key = records.make_blind_index()
    index = records.blind_index(key)
    assert node(do="index", column="email", key=key, bytes=b"a@x") == index(application["EMAIL"], b"a@x")


def test_a_rotation_in_batches(application, kms):
    records, connection, place = application["records"], application["connection"], application["place"]
    email_index = records.blind_index(records.make_blind_index())
    ids = [application["add_patient"](email_index, f"Patient {n}", f"{n}@x", "") for n in range(25)]
    old = bulla_records.key_id_of(connection.execute("SELECT name FROM patients").fetchone()[0])
    kms.rotate_key_on_demand(KeyId=application["KMS_KEY"])
    records.forget_keys()
    assert application["rotate"](old, batch=10) == 25
    assert application["rotate"](old) == 0
    for n, id in enumerate(ids):
        name = connection.execute("SELECT name FROM patients WHERE id = %s", (id,)).fetchone()[0]
        assert bulla_records.key_id_of(name) != old
        assert records.open(place("name", id), name) == f"Patient {n}".encode()


def test_a_sealed_key_is_a_file_for_bulla(application, server, host, tmp_path):
    """What the key table has, the tool opens, and nothing but the key is in it."""
    records = application["records"]
    row = records.seal(application["place"]("name", 1), b"Ada")
    sealed = application["connection"].execute("SELECT sealed FROM bulla_keys").fetchone()[0]
    key_id, secret = server.credentials
    env = {"AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    done = host.run("--endpoint-url", server.endpoint, "decrypt", "-c", "app=clinic", "-c", "bulla-key=records/v1", input=sealed, env=env)
    assert bulla_records.open_with(done.stdout, application["place"]("name", 1), row) == b"Ada"


def test_the_golden_records_open_in_python_and_node(tmp_path):
    providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
    wrapping = GOLDEN["wrapping_key"]
    keyring = providers.create_raw_aes_keyring(CreateRawAesKeyringInput(
        key_namespace=wrapping["namespace"], key_name=wrapping["name"], wrapping_key=bytes.fromhex(wrapping["key"]),
        wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    ))
    sealed = {bytes.fromhex(row["id"]): bytes.fromhex(row["sealed"]) for row in GOLDEN["keys"]}
    records = bulla_records.Records(sealed, bulla_records.EsdkSealer(keyring))
    keys = {id: bulla_records.EsdkSealer(keyring).open("records/v1", sealed[id]) for id in
            {bulla_records.key_id_of(bytes.fromhex(one["record"])) for one in GOLDEN["records"]}}
    program = f"import * as b from {json.dumps(str(TOP / 'clients/node/bulla-records.mjs'))};\nconst hex = (t) => Buffer.from(t, 'hex');\n"
    for one in GOLDEN["records"]:
        record = bytes.fromhex(one["record"])
        assert bulla_records.canonical(one["context"]).hex() == one["canonical_context"]
        assert records.open(one["context"], record).hex() == one["plaintext"]
        key = keys[bulla_records.key_id_of(record)].hex()
        program += (f"if (b.openWith(hex('{key}'), {json.dumps(one['context'])}, hex('{one['record']}')).toString('hex') !== '{one['plaintext']}') "
                    "throw new Error('another content');\n")
    index = GOLDEN["blind_index"]
    find = records.blind_index(bytes.fromhex(index["key"]))
    assert find(index["column"], bytes.fromhex(index["value"])).hex() == index["index"]
    (tmp_path / "golden.mjs").write_text(program)
    subprocess.run(["node", tmp_path / "golden.mjs"], check=True, timeout=60)


def test_every_changed_byte_is_refused_in_python_and_node(tmp_path):
    key, context = bytes(range(32)), {"table": "t", "id": "1"}
    record = bulla_records.seal_with(key, context, b"content")
    for at in range(len(record)):
        changed = bytearray(record)
        changed[at] ^= 0x10
        with pytest.raises(bulla_records.RecordError):
            bulla_records.open_with(key, context, bytes(changed))
    for length in range(len(record)):
        with pytest.raises(bulla_records.RecordError):
            bulla_records.open_with(key, context, record[:length])
    (tmp_path / "changed.mjs").write_text(f"""
import * as b from {json.dumps(str(TOP / 'clients/node/bulla-records.mjs'))};
const key = Buffer.from('{key.hex()}', 'hex'), record = Buffer.from('{record.hex()}', 'hex'), context = {json.dumps(context)};
if (b.openWith(key, context, record).toString() !== 'content') throw new Error('the record itself');
const refuses = (bytes) => {{
  try {{ b.openWith(key, context, bytes); }} catch (error) {{ if (error instanceof b.RecordError) return; throw error; }}
  throw new Error('opened');
}};
for (let at = 0; at < record.length; at++) {{
  const changed = Buffer.from(record);
  changed[at] ^= 0x10;
  refuses(changed);
  refuses(record.subarray(0, at));
}}
""")
    subprocess.run(["node", tmp_path / "changed.mjs"], check=True, timeout=60)


def test_the_limit_counts_bytes_in_python_and_node(tmp_path):
    key, context, most = bytes(range(32)), {"table": "t", "id": "1"}, 1 << 20
    words = array.array("I", range(most // 4))
    for content in (bytes(most), bytearray(most), memoryview(bytes(most)), words, memoryview(words), memoryview(bytes(2 * most))[::2]):
        sealed = bulla_records.seal_with(key, context, content)
        assert bulla_records.open_with(key, context, memoryview(sealed)) == memoryview(content).tobytes()
    words.append(0)
    for content in (bytes(most + 1), words, memoryview(words)):
        with pytest.raises(bulla_records.RecordError, match="at most 1 MiB"):
            bulla_records.seal_with(key, context, content)
    for content in ("text", 7, None, [1, 2]):
        for refused in (bulla_records.seal_with, bulla_records.open_with):
            with pytest.raises(bulla_records.RecordError, match="bytes are needed"):
                refused(key, context, content)
        with pytest.raises(bulla_records.RecordError, match="bytes are needed"):
            bulla_records.blind_index_with(key, context, content)
    for wrong in ({"id": 1}, {1: "id"}, {"id": b"1"}, {"id": "\ud800"}):
        with pytest.raises(bulla_records.RecordError, match="text only"):
            bulla_records.seal_with(key, wrong, b"")
    (tmp_path / "limit.mjs").write_text(f"""
import * as b from {json.dumps(str(TOP / 'clients/node/bulla-records.mjs'))};
const key = Buffer.from('{key.hex()}', 'hex'), context = {json.dumps(context)}, most = {most};
const same = (content, bytes) => {{
  const opened = b.openWith(key, context, b.sealWith(key, context, content));
  if (!opened.equals(bytes)) throw new Error('another content');
}};
const refuses = (doing, content) => {{
  try {{ doing(key, context, content); }} catch (error) {{ if (error instanceof b.RecordError) return; throw error; }}
  throw new Error('not refused');
}};
const words = Uint32Array.from({{ length: most / 4 }}, (_, n) => n);
same(words, Buffer.from(words.buffer));
same(words.subarray(1, 3), Buffer.from(words.buffer).subarray(4, 12));
same(new ArrayBuffer(most), Buffer.alloc(most));
same(new DataView(words.buffer, 4, 8), Buffer.from(words.buffer).subarray(4, 12));
same('é'.repeat(most / 2), Buffer.from('é'.repeat(most / 2)));
const longer = [Buffer.alloc(most + 1), 'é'.repeat(600000), new Uint32Array(300000), new ArrayBuffer(most + 1)];
for (const content of [...longer, '\\ud800', 7, null, undefined, [1, 2], {{ length: 3 }}]) refuses(b.sealWith, content);
for (const content of ['text', 7, null, undefined, [1, 2], new Uint32Array(300000)]) refuses(b.openWith, content);
for (const content of ['\\ud800', 7, null, undefined, [1, 2]]) refuses(b.blindIndexWith, content);
""")
    subprocess.run(["node", tmp_path / "limit.mjs"], check=True, timeout=60)
