"""The recipe of docs/backups.md for MariaDB and MySQL, with a real server."""

import getpass
import os
import shutil
import subprocess
import time

import pytest
from conftest import clean_env

SERVER = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
WAIT_S = 60
ROWS = 20000


@pytest.fixture
def shop(fresh_host, bulla, tmp_path_factory):
    """Runs scripts beside a server that has a database `shop`."""
    if SERVER is None:
        pytest.skip("MariaDB is missing: install the Debian package mariadb-server")
    # A socket's path is short.
    top = tmp_path_factory.mktemp("maria")
    data, socket, user = top / "data", top / "s", getpass.getuser()
    programs = top / "bin"
    programs.mkdir()
    (programs / "bulla").symlink_to(bulla)
    env = clean_env(fresh_host.home)
    env["PATH"] = os.pathsep.join([str(programs), env["PATH"]])
    # Where a user without a password of the clients' own looks for the server.
    (top / "my.cnf").write_text(f"[client]\nsocket={socket}\nuser={user}\n")
    env["MARIADB_HOME"] = env["MYSQL_HOME"] = str(top)
    make = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", f"--user={user}", "--skip-test-db"]
    subprocess.run(make, env=env, check=True, capture_output=True, timeout=WAIT_S)
    options = [f"--datadir={data}", f"--socket={socket}", f"--user={user}", "--skip-networking", "--innodb-flush-log-at-trx-commit=0"]
    with (top / "log").open("wb") as log:
        server = subprocess.Popen([SERVER, "--no-defaults", *options], env=env, stdout=log, stderr=log)

    def sh(script: str, check: int = 0) -> str:
        done = subprocess.run(
            ["bash", "-c", script], env=env, cwd=top, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == check, f"{script}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    try:
        until = time.monotonic() + WAIT_S
        while not socket.exists():
            assert server.poll() is None and time.monotonic() < until, (top / "log").read_text()
            time.sleep(0.05)
        sh(f"mysql -e 'create database shop; use shop; create table orders engine=innodb select seq as n from seq_1_to_{ROWS}'")
        sh("bulla -q key create alias/backup")
        yield sh, top
    finally:
        server.terminate()
        server.wait(WAIT_S)


def test_a_dump_comes_back(shop):
    sh, top = shop
    count = "mysql -N -e 'select count(*) from orders' shop"
    sh("bulla encrypt -q -k alias/backup -o shop.sql.sealed -- mysqldump --single-transaction shop")
    assert b"orders" not in (top / "shop.sql.sealed").read_bytes()
    # A dump that fails makes no file.
    sh("bulla encrypt -q -k alias/backup -o none.sealed -- mysqldump --single-transaction none", check=7)
    assert not (top / "none.sealed").exists()
    sh("mysql -e 'drop table orders' shop")
    sh(count, check=1)
    sh("bulla decrypt shop.sql.sealed -- mysql shop")
    assert int(sh(count)) == ROWS
    assert sh("bulla decrypt -q -o - shop.sql.sealed | tail -n 1").startswith("-- Dump completed")
