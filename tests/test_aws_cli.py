"""The real `aws` command, with nothing set but what `bulla profile` writes."""

import base64
import configparser
import json

import pytest


@pytest.fixture
def profile(fresh_host, server):
    """`my-profile` in a home of its own, pointing at the shared server."""
    fresh_host.run("profile", "my-profile", "--data-dir", server.dir)
    return fresh_host


def kms(host, *args, check=0):
    done = host.aws("kms", *args, "--profile", "my-profile", check=check)
    return done


def test_generate_data_key_then_decrypt_without_key_id(profile, alias_name):
    key = json.loads(kms(profile, "create-key", "--output", "json").stdout)["KeyMetadata"]
    kms(profile, "create-alias", "--alias-name", alias_name, "--target-key-id", key["KeyId"])
    made = kms(profile, "generate-data-key", "--key-id", alias_name, "--key-spec", "AES_256", "--output", "json")
    answer = json.loads(made.stdout)
    assert answer["KeyId"] == key["Arn"]
    assert len(base64.b64decode(answer["Plaintext"])) == 32
    (profile.home / "blob").write_bytes(base64.b64decode(answer["CiphertextBlob"]))
    opened = kms(profile, "decrypt", "--ciphertext-blob", "fileb://blob", "--output", "text", "--query", "Plaintext")
    assert opened.stdout.decode().strip() == answer["Plaintext"]


def test_the_exact_commands_with_my_app_key(fresh_host, tmp_path):
    """A server, an alias, and the two commands as people write them."""
    from conftest import Server

    with Server(fresh_host, tmp_path / "data") as server:
        fresh_host.run("profile", "my-profile", "--data-dir", server.dir)
        fresh_host.run("key", "create", "alias/my-app-key", "--data-dir", server.dir)
        made = kms(fresh_host, "generate-data-key", "--key-id", "alias/my-app-key", "--key-spec", "AES_256",
                   "--output", "json")
        answer = json.loads(made.stdout)
        (fresh_host.home / "data-key.sealed").write_bytes(base64.b64decode(answer["CiphertextBlob"]))
        opened = kms(fresh_host, "decrypt", "--ciphertext-blob", "fileb://data-key.sealed", "--output", "text",
                     "--query", "Plaintext")
        assert opened.stdout.decode().strip() == answer["Plaintext"]


def test_sts_get_caller_identity(profile, account):
    done = profile.aws("sts", "get-caller-identity", "--output", "json", "--profile", "my-profile")
    assert json.loads(done.stdout) == {"UserId": account, "Account": account, "Arn": f"arn:aws:iam::{account}:root"}


def test_errors_reach_the_user(profile):
    done = kms(profile, "describe-key", "--key-id", "alias/no-such", check=None)
    assert done.returncode != 0
    text = done.stderr.decode()
    assert "(NotFoundException) when calling the DescribeKey operation: Alias arn:aws:kms:us-east-1:" in text
    assert "is not found." in text


def test_lists_are_paged_by_the_command_itself(profile):
    made = {json.loads(kms(profile, "create-key").stdout)["KeyMetadata"]["KeyId"] for _ in range(3)}
    done = kms(profile, "list-keys", "--page-size", "1", "--query", "Keys[].KeyId", "--output", "json")
    assert made <= set(json.loads(done.stdout))


def test_the_profile_leaves_everything_else_as_it_is(fresh_host, server):
    directory = fresh_host.home / ".aws"
    directory.mkdir()
    config = "# mine\n[default]\nregion = eu-west-1\n\n[profile other]\nregion=us-west-2\ns3 =\n  max_queue_size = 1\n"
    credentials = "[default]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = other\n"
    (directory / "config").write_text(config)
    (directory / "credentials").write_text(credentials)
    fresh_host.run("profile", "mine", "--data-dir", server.dir)
    assert (directory / "config").read_text().startswith(config.rstrip("\n"))
    assert (directory / "credentials").read_text().startswith(credentials.rstrip("\n"))
    assert (directory / "credentials").stat().st_mode & 0o077 == 0
    parsed = configparser.ConfigParser()
    parsed.read(directory / "config")
    section = parsed["profile mine"]
    assert section["region"] == "us-east-1" and "endpoint_url" not in section
    services = parsed[f"services {section['services']}"]
    for service in ("kms", "sts", "iam"):
        assert service in services
    assert parsed["default"]["region"] == "eu-west-1"


def test_an_existing_profile_is_refused_without_force(fresh_host, server):
    fresh_host.run("profile", "mine", "--data-dir", server.dir)
    before = {path.name: path.read_bytes() for path in (fresh_host.home / ".aws").iterdir()}
    done = fresh_host.run("profile", "mine", "--data-dir", server.dir, check=None)
    assert done.returncode != 0 and b"--force" in done.stderr
    assert {path.name: path.read_bytes() for path in (fresh_host.home / ".aws").iterdir()} == before
    fresh_host.run("profile", "mine", "--data-dir", server.dir, "--force")
    done = fresh_host.aws("sts", "get-caller-identity", "--profile", "mine")
    assert json.loads(done.stdout)["Account"]


def test_the_profile_goes_where_the_environment_says(fresh_host, server, tmp_path):
    env = {"AWS_CONFIG_FILE": str(tmp_path / "c"), "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "s")}
    fresh_host.run("profile", "mine", "--data-dir", server.dir, env=env)
    assert (tmp_path / "c").exists() and (tmp_path / "s").exists()
    assert not (fresh_host.home / ".aws").exists()
    fresh_host.aws("sts", "get-caller-identity", "--profile", "mine", env=env)
