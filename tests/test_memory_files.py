"""A process that seals or opens a file holds no data key once the header is done: not in the embedded engine's process, not in
one that asked a server. An abort leaves no core."""

import os
import resource
import signal
import subprocess
import threading

import pytest
from conftest import Server
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from memory_scan import forms, places, scan

# Several times what one thread takes in before it writes, and what pipes hold.
CONTENT = os.urandom(12 << 20)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a process that is not dumpable")


@pytest.fixture
def place(fresh_host, tmp_path):
    """A store with a key, and no server at it."""
    server = Server(fresh_host, tmp_path / "data")
    with server:
        key = server.client().create_key()["KeyMetadata"]["Arn"]
    return server, key


def started(server, *args) -> subprocess.Popen:
    """With `mlock` in place of `memfd_secret`, so that the scan sees the arena too."""
    key_id, secret = server.credentials
    env = {**server.host.env, "BULLA_TEST_MLOCK": "1", "AWS_ACCESS_KEY_ID": key_id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1"}
    return subprocess.Popen(
        [server.host.binary, "-q", *args], env=env, cwd=server.host.home, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def fields_of(message: bytes) -> tuple[bytes, bytes]:
    """Message id and encrypted data key of a message of version 2 for one key."""
    assert message[:3] == b"\2\x04\x78"
    message_id, rest = message[3:35], message[35:]

    def counted(rest):
        length = int.from_bytes(rest[:2], "big")
        return rest[2 : 2 + length], rest[2 + length :]

    _context, rest = counted(rest)
    assert rest[:2] == b"\0\1"
    rest = rest[2:]
    for _ in range(3):
        field, rest = counted(rest)
    return message_id, field


def feed(process, content: bytes) -> threading.Thread:
    """Writes while the output is read, or isn't. Leaves the input open."""

    def write():
        process.stdin.write(content)
        process.stdin.flush()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def finish(process, feeding: threading.Thread, rest=b"") -> bytes:
    """Reads all that is left, while the rest of the input is written and the input closed."""
    out = []
    reading = threading.Thread(target=lambda: out.append(process.stdout.read()))
    reading.start()
    feeding.join()
    process.stdin.write(rest)
    process.stdin.close()
    reading.join()
    assert process.wait(timeout=30) == 0
    return out[0]


def read_some(process, least: int) -> bytes:
    got = b""
    while len(got) < least:
        piece = os.read(process.stdout.fileno(), 1 << 16)
        assert piece, "the process ended"
        got += piece
    return got


def data_key_of(server, message: bytes) -> tuple[bytes, bytes]:
    """The data key of a message, and the content key that is made of it."""
    message_id, sealed = fields_of(message)
    with Server(server.host, server.dir) as running:
        data_key = running.client().decrypt(CiphertextBlob=sealed)["Plaintext"]
    derive = HKDF(hashes.SHA512(), 32, salt=message_id, info=b"\x04\x78DERIVEKEY")
    return data_key, derive.derive(data_key)


def check(process, data_key: bytes, content_key: bytes):
    traces = scan(process.pid, forms(data_key))
    assert not traces, f"{len(traces)} forms of the data key are in memory"
    # The scan finds what is there: the key in use.
    assert content_key in scan(process.pid, forms(content_key))


def test_a_sealing_process_holds_no_data_key(place):
    server, key = place
    process = started(server, "encrypt", "--data-dir", server.dir, "-k", key)
    feeding = feed(process, CONTENT)
    message = read_some(process, 600)
    check(process, *data_key_of(server, message))
    finish(process, feeding)


def test_an_opening_process_holds_no_data_key(place):
    server, key = place
    message = server.host.run("encrypt", "--data-dir", server.dir, "-k", key, input=CONTENT).stdout
    data_key, content_key = data_key_of(server, message)
    process = started(server, "decrypt", "--data-dir", server.dir, "-k", key)
    feeding = feed(process, message[:-1])
    got = read_some(process, 1)
    check(process, data_key, content_key)
    assert got + finish(process, feeding, message[-1:]) == CONTENT


def test_a_process_whose_keys_came_from_a_server_through_its_socket_holds_no_data_key(place):
    server, key = place
    with server:
        process = started(server, "encrypt", "--data-dir", server.dir, "-k", key)
        feeding = feed(process, CONTENT)
        message = read_some(process, 600)
    check(process, *data_key_of(server, message))
    finish(process, feeding)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("what", ["encrypt", "decrypt"])
def test_a_process_whose_keys_came_across_the_network_holds_no_data_key(fresh_host, tmp_path, what, tls):
    """HTTP and TLS are other people's code, whose buffers nobody wipes before they are freed."""
    args = ["--tls-auto", "localhost,127.0.0.1"] if tls else []
    server = Server(fresh_host, tmp_path / "data", *args)
    with server:
        trusted = ["--ca-file", server.dir / "ca.pem"] if tls else []
        key = server.client(**({"verify": str(server.dir / "ca.pem")} if tls else {})).create_key()["KeyMetadata"]["Arn"]
        across = ["--endpoint-url", server.endpoint, *trusted, "-k", key]
        if what == "encrypt":
            process = started(server, what, *across)
            feeding = feed(process, CONTENT)
            message, rest = read_some(process, 600), b""
        else:
            message = server.host.run("encrypt", "--data-dir", server.dir, "-k", key, input=CONTENT).stdout
            process = started(server, what, *across)
            feeding, rest = feed(process, message[:-1]), message[-1:]
            read_some(process, 1)
    server.args = ()
    check(process, *data_key_of(server, message))
    finish(process, feeding, rest)


@pytest.mark.parametrize("length", [16, 32])
@pytest.mark.parametrize("what", ["encrypt", "decrypt"])
def test_a_raw_wrapping_key_stands_in_locked_memory_alone(fresh_host, what, length):
    wrapping = os.urandom(length)
    path = fresh_host.home / "wrapping"
    path.write_bytes(wrapping)
    path.chmod(0o600)
    key = f"raw-aes:ns:name:{path}"
    content = CONTENT if what == "encrypt" else fresh_host.run("encrypt", "-k", key, input=CONTENT).stdout
    process = subprocess.Popen(
        [fresh_host.binary, "-q", what, "-k", key], env={**fresh_host.env, "BULLA_TEST_MLOCK": "1"}, cwd=fresh_host.home,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )
    feeding = feed(process, content[:-1])
    got = read_some(process, 1)
    found = places(process.pid, wrapping)
    rest = finish(process, feeding, content[-1:])
    assert found == {True: 1, False: 0}
    assert what == "encrypt" or got + rest == CONTENT


def test_an_abort_leaves_no_core(place, tmp_path):
    server, key = place

    def with_cores():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    process = subprocess.Popen(
        [server.host.binary, "-q", "encrypt", "--data-dir", server.dir, "-k", key, "-o", tmp_path / "out.sealed"],
        env=server.host.env, cwd=tmp_path, stdin=subprocess.PIPE, preexec_fn=with_cores,
    )
    process.stdin.write(CONTENT)
    process.stdin.flush()
    # What runs until its input ends has its keys by the time that it has read this much.
    while int(open(f"/proc/{process.pid}/io").read().split("rchar: ")[1].split()[0]) < len(CONTENT):
        assert process.poll() is None
    before = sorted(os.listdir(tmp_path))
    with open(f"/proc/{process.pid}/limits") as limits:
        (line,) = [line for line in limits if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"], line
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = status
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT and not os.WCOREDUMP(status)
    assert sorted(os.listdir(tmp_path)) == before, "no core, and no file without its name"
    assert "out.sealed" not in before
