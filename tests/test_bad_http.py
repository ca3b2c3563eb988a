"""What no client would send: the server answers with an error or hangs up, stays up, and stays small."""

import http.client
import multiprocessing
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from conftest import Server
from signing import call, send, sign


def address(server):
    parts = urlsplit(server.endpoint)
    return parts.hostname, parts.port


def raw(server, data: bytes, timeout=20, half_close=True) -> bytes:
    """Sends bytes, half-closes, and reads what comes back until the server hangs up."""
    with socket.create_connection(address(server), timeout=timeout) as connection:
        answer = b""
        try:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
        except (ConnectionError, TimeoutError):
            pass
        return answer


def still_works(server):
    assert call(server, "GenerateRandom", {"NumberOfBytes": 8}).status == 200


def resident_mib(server) -> float:
    for line in open(f"/proc/{server.process.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0" * 4096,
        os.urandom(4096),
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # A TLS client at a plain port.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST http://y/ HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX-A: \x01\x02\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_000_000 + b"\r\n\r\n",
    ],
    ids=range(19),
)
def test_garbage(server, data):
    answer = raw(server, data)
    if answer:
        assert answer.startswith(b"HTTP/1.1 "), answer[:200]
        assert answer.split(b" ", 2)[1][:1] in (b"4", b"5"), answer[:200]
    still_works(server)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE", "CONNECT"])
def test_other_methods(server, method):
    body = b"{}"
    headers = sign(urlsplit(server.endpoint).netloc, server.credentials, "TrentService.ListKeys", body, method=method)
    answer = send(server.endpoint, headers, body, method=method)
    assert 400 <= answer.status < 500, answer
    assert b"Keys" not in answer.body


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/debug/pprof", "/../credentials", "/x", "//"])
def test_other_paths_of_the_api_listener_give_nothing(server, path):
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode(), half_close=False)
    assert answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    assert b"bulla_" not in answer and b"aws_" not in answer


def test_a_body_of_gigabytes_declared(server):
    host = urlsplit(server.endpoint).netloc
    headers = sign(host, server.credentials, "TrentService.ListKeys", b"{}")
    head = b"POST / HTTP/1.1\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers.items())
    answer = raw(server, head + b"content-length: 4294967296\r\n\r\n" + b"x" * 100_000)
    assert answer == b"" or answer.split(b" ", 2)[1][:1] == b"4", answer[:200]
    still_works(server)


def test_a_body_of_gigabytes_chunked(server):
    """Sent as long as the server takes it: it must stop reading after its limit, not grow."""
    before = resident_mib(server)
    host = urlsplit(server.endpoint).netloc
    headers = sign(host, server.credentials, "TrentService.ListKeys", b"{}")
    head = b"POST / HTTP/1.1\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers.items())
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    sent = 0
    with socket.create_connection(address(server), timeout=10) as connection:
        try:
            connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n")
            while sent < 2048:
                connection.sendall(chunk)
                sent += 1
        except (ConnectionError, TimeoutError):
            pass
    assert sent < 64, f"the server took {sent} MiB"
    assert resident_mib(server) - before < 32
    still_works(server)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"KeyId":' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"NumberOfBytes":' + b"9" * 100_000 + b"}",
        b'{"' + b"a" * 500_000 + b'":1}',
        b"{" + b",".join(b'"k%d":1' % n for n in range(30_000)) + b"}",
    ],
    ids=["arrays", "objects", "member", "number", "name", "many"],
)
def test_bodies_that_cost(server, body):
    started = time.monotonic()
    answer = call(server, "GenerateRandom", body)
    assert 400 <= answer.status < 500, answer
    assert time.monotonic() - started < 5
    still_works(server)


def test_expect_continue(server):
    """MongoDB's and Java's clients may wait for it."""
    host = urlsplit(server.endpoint).netloc
    body = b'{"NumberOfBytes":8}'
    headers = sign(host, server.credentials, "TrentService.GenerateRandom", body)
    head = b"POST / HTTP/1.1\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers.items())
    with socket.create_connection(address(server), timeout=10) as connection:
        connection.sendall(head + f"content-length: {len(body)}\r\nexpect: 100-continue\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert connection.recv(4000).startswith(b"HTTP/1.1 200")


def test_slow_headers_are_cut_off(fresh_host, tmp_path):
    """A client that trickles its header holds a connection only for the header's time limit."""
    with Server(fresh_host, tmp_path / "data") as server:
        started = time.monotonic()
        with socket.create_connection(address(server), timeout=120) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n")
            closed = False
            while not closed and time.monotonic() - started < 90:
                try:
                    connection.sendall(b"X-Slow: 1\r\n")
                    connection.settimeout(2)
                    closed = connection.recv(100) == b"" or True
                except TimeoutError:
                    continue
                except ConnectionError:
                    closed = True
            assert closed, "the server waits for slow headers for more than 90 s"


def test_many_idle_connections_do_not_stop_others(server):
    idle = []
    try:
        for _ in range(200):
            idle.append(socket.create_connection(address(server), timeout=5))
        still_works(server)
    finally:
        for connection in idle:
            connection.close()


def besiege(to: tuple[str, int], sources: list[str]) -> None:
    """Holds a slow connection from each of these addresses, and opens it anew whenever it is closed, for ever."""
    slow = [
        b"",
        b"POST / HTTP/1.1\r\nHost: x\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{",
    ]

    def hold(source, data):
        while True:
            try:
                with socket.create_connection(to, source_address=(source, 0)) as connection:
                    connection.sendall(data)
                    while connection.recv(4096):
                        pass
            except OSError:
                pass
            time.sleep(0.05)

    for number, source in enumerate(sources):
        threading.Thread(target=hold, args=(source, slow[number % len(slow)]), daemon=True).start()
    threading.Event().wait()


@pytest.mark.parametrize(
    "sources",
    [["127.0.0.1"] * 300, [f"127.0.1.{number % 150}" for number in range(300)]],
    ids=["one address", "many addresses"],
)
def test_slow_strangers_keep_nobody_waiting(fresh_host, tmp_path, sources):
    """A server that may have 128 connections, and strangers who hold all that they can get."""
    with Server(fresh_host, tmp_path / "data", wrap=["prlimit", "--nofile=256:256"]) as server:
        # In a process of its own, so that what is measured is the server and not this one's threads.
        besieger = multiprocessing.get_context("spawn").Process(target=besiege, args=(address(server), sources))
        besieger.start()
        try:
            time.sleep(2)
            host = urlsplit(server.endpoint).netloc
            body = b'{"NumberOfBytes":8}'
            for _ in range(10):
                headers = sign(host, server.credentials, "TrentService.GenerateRandom", body)
                started = time.monotonic()
                client = http.client.HTTPConnection(*address(server), timeout=20, source_address=("127.0.0.2", 0))
                client.request("POST", "/", body, headers)
                assert client.getresponse().status == 200
                client.close()
                assert time.monotonic() - started < 1
        finally:
            besieger.kill()
            besieger.join()


def test_hundreds_of_clients_of_one_host_keep_their_connections(server):
    """None of them is slow, so none makes room, whatever the number of connections that one address may have unknown."""
    host = urlsplit(server.endpoint).netloc
    body = b'{"NumberOfBytes":8}'
    clients = [http.client.HTTPConnection(*address(server), timeout=20) for _ in range(600)]
    try:
        for _ in range(2):
            headers = sign(host, server.credentials, "TrentService.GenerateRandom", body)
            for client in clients:
                client.auto_open = client.sock is None
                client.request("POST", "/", body, headers)
                answer = client.getresponse()
                assert answer.status == 200
                answer.read()
    finally:
        for client in clients:
            client.close()


def test_pipelined_requests_are_answered_in_order(server):
    host = urlsplit(server.endpoint).netloc
    data = b""
    for length in (8, 9):
        body = b'{"NumberOfBytes":%d}' % length
        headers = sign(host, server.credentials, "TrentService.GenerateRandom", body)
        data += b"POST / HTTP/1.1\r\n" + b"".join(f"{n}: {v}\r\n".encode() for n, v in headers.items())
        data += f"content-length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection(address(server), timeout=10) as connection:
        connection.sendall(data)
        for _ in range(2):
            response = http.client.HTTPResponse(connection)
            # Both answers may stand in one segment: read the first by its length only.
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            assert head.startswith(b"HTTP/1.1 200")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = b""
            while len(body) < length:
                body += connection.recv(length - len(body))
            response.close()


def test_shutdown_answers_what_is_under_way(fresh_host, tmp_path):
    """SIGTERM while clients call: every call is answered or its connection refused, none is cut in the middle."""
    server = Server(fresh_host, tmp_path / "data").start()
    endpoint, credentials = server.endpoint, server.credentials
    host = urlsplit(endpoint).netloc
    outcomes, stop = [], threading.Event()

    def caller():
        body = b'{"NumberOfBytes":8}'
        while not stop.is_set():
            try:
                answer = send(endpoint, sign(host, credentials, "TrentService.GenerateRandom", body), body)
                outcomes.append(answer.status)
            except ConnectionRefusedError:
                outcomes.append("refused")
                return
            except ConnectionResetError:
                # The listener's backlog at the moment of closing: the request never reached the server.
                outcomes.append("reset")
                return
            except http.client.RemoteDisconnected:
                outcomes.append("closed")
                return

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    server.stop()
    stop.set()
    for thread in threads:
        thread.join(10)
    assert outcomes.count(200) > 10 and set(outcomes) <= {200, "refused", "reset", "closed"}, set(outcomes)
    assert not (server.dir / "endpoint").exists()
