"""The recipes of docs/backups.md, with the real tools."""

import glob
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from conftest import clean_env

# Debian keeps a server's programs apart from the PATH.
SERVER_PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
WAIT_S = 60


class Cluster:
    """A PostgreSQL cluster of a user who is not root, which PostgreSQL refuses, with bulla on that user's PATH."""

    def __init__(self, directory: Path, bulla: Path):
        self.dir = directory
        self.data = directory / "data"
        self.user = "postgres" if os.getuid() == 0 else None
        directory.mkdir()
        programs = directory / "bin"
        programs.mkdir()
        # A copy: where the tests' binary is, that user may not look.
        shutil.copy(bulla, programs / "bulla")
        self.env = clean_env(directory / "home", PGHOST=directory, PGUSER="tester", PGDATABASE="main", PGPORT="5432")
        self.env["PATH"] = os.pathsep.join([str(programs), *SERVER_PROGRAMS, self.env["PATH"]])
        if self.user:
            for path in [directory, *directory.rglob("*")]:
                shutil.chown(path, self.user, self.user)
            # pytest's own directories are for one user.
            for parent in directory.parents:
                if parent.stat().st_uid == os.getuid() and parent != Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)

    def sh(self, script: str, check: int = 0) -> str:
        """Runs a script as the cluster's user."""
        become = ["setpriv", "--reuid", self.user, "--regid", self.user, "--clear-groups"] if self.user else []
        done = subprocess.run(
            [*become, "bash", "-c", script],
            env=self.env,
            cwd=self.dir,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == check, f"{script}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, data: Path):
        self.sh(f"pg_ctl -w -s -l {data}.log -D {data} -o \"-c listen_addresses='' -k {self.dir}\" start")

    def stop(self, data: Path):
        self.sh(f"pg_ctl -w -s -D {data} -m fast stop")

    def count(self) -> int:
        return int(self.sh("psql -AXtc 'select count(*) from numbers'"))


@pytest.fixture
def cluster(bulla, tmp_path_factory):
    if not SERVER_PROGRAMS:
        pytest.skip("PostgreSQL is missing: install the Debian package postgresql")
    cluster = Cluster(tmp_path_factory.mktemp("pg") / "c", bulla)
    cluster.sh("bulla -q key create alias/backup && mkdir archive")
    cluster.sh(f"initdb -N -A trust -U tester -D {cluster.data} > /dev/null")
    archive = (
        f"f={cluster.dir}/archive/%f.sealed; if [ -e $f ]; then bulla decrypt $f -- cmp - %p; "
        "else bulla encrypt -q -k alias/backup --sync -o $f %p; fi"
    )
    settings = f"fsync = off\narchive_mode = on\narchive_command = '{archive}'\n"
    cluster.sh(f'cat >> {cluster.data}/postgresql.conf <<"END"\n{settings}END')
    cluster.start(cluster.data)
    cluster.running = cluster.data
    cluster.sh("createdb main && psql -qXc 'create table numbers as select generate_series(1, 100000) as n'")
    yield cluster
    cluster.stop(cluster.running)


def test_databases_come_back(cluster):
    cluster.sh("bulla encrypt -q -k alias/backup -c db=main -o main.dump.sealed -- pg_dump -Fc main")
    cluster.sh("bulla encrypt -q -k alias/backup -o main.sql.sealed -- pg_dump main")
    # A dump that fails makes no file, and a plain pipe needs pipefail to tell.
    cluster.sh("bulla encrypt -q -k alias/backup -o none.sealed -- pg_dump none", check=7)
    cluster.sh("set -o pipefail; pg_dump none | bulla encrypt -q -k alias/backup -o p.sealed", check=1)
    assert not (cluster.dir / "none.sealed").exists()
    # Rotated since: what was sealed before opens as ever.
    cluster.sh("bulla -q key rotate alias/backup; psql -qXc 'delete from numbers'")
    assert cluster.count() == 0
    restore = "pg_restore --clean --if-exists --single-transaction -d main"
    cluster.sh(f"bulla decrypt -c db=main main.dump.sealed -- {restore}")
    assert cluster.count() == 100000
    # One that is damaged near its end changes nothing.
    cluster.sh("psql -qXc 'drop table numbers'")
    sealed = bytearray((cluster.dir / "main.sql.sealed").read_bytes())
    sealed[-100] ^= 1
    (cluster.dir / "bad.sealed").write_bytes(sealed)
    psql = "psql -q -v ON_ERROR_STOP=1 --single-transaction main"
    cluster.sh(f"bulla decrypt bad.sealed -- {psql}", check=3)
    assert cluster.sh("psql -AXtc \"select to_regclass('numbers') is null\"") == "t\n"
    cluster.sh(f"bulla decrypt main.sql.sealed -- {psql} > /dev/null")
    assert cluster.count() == 100000


def test_a_cluster_comes_back_with_its_write_ahead_log(cluster):
    cluster.sh("bulla encrypt -q -k alias/backup -o base.tar.sealed -- pg_basebackup -D - -F tar -X fetch --checkpoint=fast")
    cluster.sh("psql -qXc 'insert into numbers select generate_series(1, 5000)' -c 'select pg_switch_wal()' > /dev/null")
    archived = f"{cluster.dir}/archive"
    until = time.monotonic() + WAIT_S
    wanted = cluster.sh("psql -AXtc 'select pg_walfile_name(pg_current_wal_lsn())'").strip()
    # The segment before the current one has the rows.
    while not any(Path(name).name < wanted for name in os.listdir(archived) if len(name) == 31):
        assert time.monotonic() < until, os.listdir(archived)
        time.sleep(0.1)
    cluster.stop(cluster.data)
    new = cluster.dir / "new"
    cluster.sh(f"bulla decrypt -q --archive -o {new} base.tar.sealed")
    restore = f"f={archived}/%f.sealed; [ -e $f ] || exit 1; bulla decrypt -q --force -o %p $f || exit 200"
    settings = f"restore_command = '{restore}'\narchive_mode = off\n"
    cluster.sh(f'cat >> {new}/postgresql.conf <<"END"\n{settings}END\ntouch {new}/recovery.signal')
    # Without the key the recovery stops, and doesn't take that for the end of the log.
    store = cluster.dir / "home" / ".local"
    store.rename(cluster.dir / "away")
    cluster.sh(f"pg_ctl -w -s -l {new}.log -D {new} -o \"-c listen_addresses='' -k {cluster.dir}\" start", check=1)
    (cluster.dir / "away").rename(store)
    cluster.start(new)
    cluster.running = new
    until = time.monotonic() + WAIT_S
    while cluster.sh("psql -AXtc 'select pg_is_in_recovery()'") != "f\n":
        assert time.monotonic() < until
        time.sleep(0.1)
    assert cluster.count() == 105000
    # A segment that is archived again must be the same.
    (segment,) = sorted(name for name in os.listdir(archived) if len(name) == 31)[:1]
    cluster.sh(f"bulla decrypt -o x archive/{segment} && bulla decrypt archive/{segment} -- cmp - x")
    cluster.sh(f"echo >> x; bulla decrypt archive/{segment} -- cmp - x", check=7)


def test_tar_and_a_drill(fresh_host, tmp_path):
    host = fresh_host
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a").write_bytes(os.urandom(100_000))
    host.run("-q", "key", "create", "alias/backup")
    script = f"tar cf - -C {tree} .; s=$?; [ $s -le 1 ]"
    host.run("encrypt", "-q", "-k", "alias/backup", "-o", tmp_path / "t.sealed", "--", "sh", "-c", script)
    host.run("decrypt", "-q", "--archive", "-o", tmp_path / "opened", tmp_path / "t.sealed")
    assert (tmp_path / "opened" / "a").read_bytes() == (tree / "a").read_bytes()
    host.run("encrypt", "-q", "-k", "alias/backup", tree)
    host.run("store", "backup", tmp_path / "keys.bak")
    root = host.home / ".config" / "bulla" / "root.key"
    done = host.run(
        "drill", "--store-backup", tmp_path / "keys.bak", "--root-key", f"file:{root}",
        tmp_path / "t.sealed", tmp_path / "tree.sealed",
    )  # fmt: skip
    assert done.stdout.decode().count(":key/") == 2
