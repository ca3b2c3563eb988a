"""Break-glass: with no network at all, a store's backup and its recovery key open what a server sealed."""

import os
import re
import subprocess

import pytest
from conftest import Host, Server


def network_namespaces() -> bool:
    try:
        return subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture
def sealed_by_serve(fresh_host, tmp_path):
    """What is left of a server: a sealed file, a backup, and the recovery key on paper."""
    data = os.urandom(3_000_000)
    with Server(fresh_host, tmp_path / "data") as server:
        fresh_host.run("profile", "prod", "--data-dir", server.dir)
        fresh_host.run("key", "create", "alias/backup", "--profile", "prod")
        plain = fresh_host.home / "dump"
        plain.write_bytes(data)
        fresh_host.run("encrypt", "--profile", "prod", "-k", "alias/backup", "-c", "host=db1", plain)
        fresh_host.run("store", "backup", tmp_path / "backup", "--data-dir", server.dir)
        paper = fresh_host.run("store", "recovery-key", "--data-dir", server.dir).stdout.decode()
    return data, fresh_host.home / "dump.sealed", tmp_path / "backup", paper


def root_key_of(paper: str) -> str:
    """The root key's line, as it is typed back from the paper."""
    found = re.search(r"bulla-root-1:\S+", paper)
    return found.group(0) if found else paper


def open_elsewhere(bulla, tmp_path, sealed_by_serve, wrap):
    data, sealed, backup, paper = sealed_by_serve
    other = Host(bulla, tmp_path / "other-home")
    other.run("store", "restore", backup, "--data-dir", other.home / "restored", wrap=wrap)
    key = other.home / "recovered.key"
    key.write_text(root_key_of(paper).rstrip("\n") + "\n")
    key.chmod(0o600)
    other.run("store", "check", "--data-dir", other.home / "restored", "--root-key", f"file:{key}", wrap=wrap)
    other.run("decrypt", "--data-dir", other.home / "restored", "--root-key", f"file:{key}", "-o", other.home / "dump", sealed,
              wrap=wrap)
    assert (other.home / "dump").read_bytes() == data


@pytest.mark.skipif(not network_namespaces(), reason="this user may not make network namespaces (unshare -n)")
def test_backup_and_recovery_key_open_it_in_an_empty_network_namespace(bulla, tmp_path, sealed_by_serve):
    open_elsewhere(bulla, tmp_path, sealed_by_serve, ["unshare", "-n"])


def test_backup_and_recovery_key_open_it_on_another_host(bulla, tmp_path, sealed_by_serve):
    open_elsewhere(bulla, tmp_path, sealed_by_serve, [])


def test_a_backup_holds_no_root_key(sealed_by_serve):
    _, _, backup, paper = sealed_by_serve
    root = root_key_of(paper)
    files = [backup] if backup.is_file() else [path for path in backup.rglob("*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert b"bulla-root-1" not in data and root.encode() not in data
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_backup_without_the_right_root_key_opens_nothing(bulla, tmp_path, sealed_by_serve):
    _, sealed, backup, _ = sealed_by_serve
    other = Host(bulla, tmp_path / "other-home")
    other.run("store", "restore", backup, "--data-dir", other.home / "restored")
    before = sorted(path.name for path in other.home.iterdir())
    done = other.run("decrypt", "--data-dir", other.home / "restored", "-o", other.home / "dump", sealed, check=None)
    assert done.returncode not in (0, 101) and done.stderr.count(b"\n") == 1, done.stderr
    other.run("key", "create", "alias/x", "--data-dir", other.home / "fresh")
    wrong = other.home / "fresh" / "root.key"
    done = other.run("decrypt", "--data-dir", other.home / "restored", "--root-key", f"file:{wrong}", "-o", other.home / "dump",
                     sealed, check=None)
    assert done.returncode == 3 and b"root key" in done.stderr, done.stderr
    assert not (other.home / "dump").exists() and "restored" in before
