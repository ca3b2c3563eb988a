"""The pages under docs whose commands and outputs are real."""

from conftest import TOP, Server
from console import check


def test_access_control(fresh_host, tmp_path):
    data = fresh_host.home / ".local" / "share" / "bulla"
    data.parent.mkdir(parents=True)
    path = f"{fresh_host.binary.parent}:{fresh_host.env['PATH']}"
    with Server(fresh_host, data, "--account-id", "111122223333"):
        env = {**fresh_host.env, "PATH": path, "AWS_DEFAULT_OUTPUT": "json"}
        check(TOP / "docs" / "access-control.md", env, fresh_host.home)
