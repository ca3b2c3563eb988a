"""Commands side by side: in parallel, in one pipe, beside a server, and the same store embedded and served."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from conftest import Server


def test_fifty_parallel_encrypts_on_one_embedded_store(fresh_host):
    """Also on a store that none of them finds when it starts."""

    def one(n):
        path = fresh_host.home / f"f{n}"
        path.write_bytes(os.urandom(1000) + bytes([n]))
        return fresh_host.run("encrypt", path, check=None)

    with ThreadPoolExecutor(50) as pool:
        done = list(pool.map(one, range(50)))
    assert [d.returncode for d in done] == [0] * 50, [d.stderr for d in done if d.returncode]
    keys = fresh_host.run("key", "list", "--json").stdout.decode()
    assert keys.count("alias/default") == 1, keys
    for n in range(50):
        fresh_host.run("decrypt", "-o", fresh_host.home / "out", "--force", fresh_host.home / f"f{n}.sealed")
        assert (fresh_host.home / "out").read_bytes() == (fresh_host.home / f"f{n}").read_bytes()


def test_encrypt_into_decrypt(fresh_host):
    data = os.urandom(5_000_000)
    (fresh_host.home / "in").write_bytes(data)
    script = f'"{fresh_host.binary}" encrypt < in | "{fresh_host.binary}" decrypt > out'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", script], cwd=fresh_host.home, env=fresh_host.env, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (fresh_host.home / "out").read_bytes() == data


def test_a_file_sealed_embedded_opens_through_serve_and_back(fresh_host, tmp_path):
    """The same directory, with and without a server over it; `encrypt` beside the running server."""
    data = tmp_path / "data"
    (fresh_host.home / "a").write_bytes(b"sealed embedded")
    fresh_host.run("key", "create", "alias/one", "--data-dir", data)
    fresh_host.run("encrypt", "--data-dir", data, "-k", "alias/one", "a")
    with Server(fresh_host, data) as server:
        fresh_host.run("profile", "prod", "--data-dir", data)
        # Over the wire, and through the admin socket.
        for how in (["--profile", "prod"], ["--data-dir", data]):
            fresh_host.run("decrypt", *how, "-o", "out", "--force", "a.sealed")
            assert (fresh_host.home / "out").read_bytes() == b"sealed embedded"
        (fresh_host.home / "b").write_bytes(b"sealed beside a server")
        fresh_host.run("encrypt", "--data-dir", data, "-k", "alias/one", "b")
        assert len(server.client().list_keys()["Keys"]) == 1
    fresh_host.run("decrypt", "--data-dir", data, "-o", "out", "--force", "b.sealed")
    assert (fresh_host.home / "out").read_bytes() == b"sealed beside a server"


def test_serve_over_the_default_directory_serves_the_embedded_store(fresh_host):
    (fresh_host.home / "a").write_bytes(b"x")
    fresh_host.run("encrypt", "a")
    directory = fresh_host.home / ".local" / "share" / "bulla"
    with Server(fresh_host, directory, "--root-key", f"file:{fresh_host.home}/.config/bulla/root.key"):
        fresh_host.run("decrypt", "-o", "out", "a.sealed")
    assert (fresh_host.home / "out").read_bytes() == b"x"


def test_a_second_serve_fails_at_once_and_harms_nothing(fresh_host, tmp_path):
    with Server(fresh_host, tmp_path / "data") as server:
        done = fresh_host.run("serve", "--data-dir", server.dir, "--listen", "127.0.0.1:0", check=None, timeout=8)
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done
        assert server.client().generate_random(NumberOfBytes=8)
        assert (server.dir / "endpoint").exists() and (server.dir / "admin.sock").exists()


def test_commands_wait_for_a_server_that_starts_or_stops(fresh_host, tmp_path):
    """No moment in between at which a command fails."""
    data = tmp_path / "data"
    fresh_host.run("key", "create", "alias/one", "--data-dir", data)
    (fresh_host.home / "a").write_bytes(b"x")
    with ThreadPoolExecutor(4) as pool:
        stop = []

        def worker(n):
            count = 0
            while not stop:
                fresh_host.run("encrypt", "--data-dir", data, "-k", "alias/one", "--force", "-o", f"s{n}", "a")
                count += 1
                # A server waits ten seconds for a moment at which no command holds the store.
                time.sleep(0.05)
            return count

        work = [pool.submit(worker, n) for n in range(2)]
        try:
            for _ in range(5):
                with Server(fresh_host, data):
                    pass
        finally:
            stop.append(True)
        assert sum(one.result() for one in work) > 4
