"""A PostgreSQL server of the tests' own: reached by a socket in its own directory, gone with the tests.

PostgreSQL doesn't run as root, so that root starts it as `postgres`, or as `nobody` where there is no such user.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

READY_S = 60  # On two cores, beside other tests.


def program(name: str) -> str:
    """Debian keeps the server's programs out of the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4].split(".")[0]))
    found = str(versions[-1]) if versions else shutil.which(name)
    assert found, f"PostgreSQL's {name} is missing: ./test installs the Debian package postgresql"
    return found


def user() -> dict:
    """For `subprocess`: who runs the server."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("there is no user but root to run PostgreSQL as")


class Postgres:
    """A running server. `dsn` is what libpq and psycopg connect with, as its superuser `test`, to its database `test`."""

    def __init__(self):
        self.process = None

    def __enter__(self) -> "Postgres":
        # Not below a test's own directory: others may not look into that one, and a socket's path is short.
        self.directory = Path(tempfile.mkdtemp(prefix="bulla-pg-"))
        as_user = user()
        if as_user:
            os.chown(self.directory, as_user["user"], as_user["group"])
        data, self.log = self.directory / "data", self.directory / "log"
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"}
        options = {"env": env, "cwd": self.directory, "stdin": subprocess.DEVNULL, **as_user}
        made = subprocess.run(
            [program("initdb"), "-D", data, "-U", "test", "-A", "trust", "-E", "UTF8", "--no-sync"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options,
        )
        assert made.returncode == 0, made.stdout
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", f"unix_socket_directories={self.directory}"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([program("postgres"), "-D", data, *settings], stdout=log, stderr=log, **options)
        self.dsn = f"host={self.directory} user=test dbname=test"
        deadline = time.monotonic() + READY_S
        while not self._is_ready():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text(errors="replace")
            time.sleep(0.05)
        subprocess.run(
            [program("psql"), "-q", "-h", self.directory, "-U", "test", "-d", "postgres", "-c", "CREATE DATABASE test"],
            check=True, env=env, stdin=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.process.terminate()  # Smart shutdown would wait for clients that a failed test has left.
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.process.send_signal(3)  # SIGQUIT: at once.
                self.process.wait(timeout=10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _is_ready(self) -> bool:
        ask = [program("pg_isready"), "-q", "-h", self.directory, "-U", "test", "-d", "postgres"]
        return subprocess.run(ask, check=False, stdin=subprocess.DEVNULL).returncode == 0
