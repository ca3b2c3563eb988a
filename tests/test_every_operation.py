"""Every operation of the API, called by each client of AWS: the scenarios of `operations/`, as `scenario.py` plays them."""

import datetime
import json

import pytest
import scenario
from clients import AwsCommand, Boto3, javascript, rust, rust_operations
from conftest import Host, Server
from xks_proxy import HOST, PATH, ExternalKey, XksProxy

CLIENTS = {"boto3": Boto3, "aws": AwsCommand, "javascript": javascript, "rust": rust}
SCENARIOS = scenario.scenarios()
EXTERNAL_KEY = "external-1"
# Operations that a client doesn't have yet, at the version that `requirements.txt` names.
NEWER_THAN = {"aws": {"Encapsulate", "Decapsulate"}}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory):
    """The proxy of an external key store."""
    proxy = XksProxy(tmp_path_factory.mktemp("proxy"))
    proxy.keys[EXTERNAL_KEY] = ExternalKey()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def server(bulla, proxy, tmp_path_factory):
    """A server with two regions, that finds the proxy."""
    directory = tmp_path_factory.mktemp("operations")
    # Beside a client that keeps two cores busy, a proxy in this process is slow.
    xks = ["--xks-connect", f"{HOST}=127.0.0.1:{proxy.port}", "--ca-file", proxy.ca_file, "--xks-timeout", 5000]
    options = ["--region", "us-east-1,eu-west-1", *xks]
    with Server(Host(bulla, directory / "home"), directory / "data", *options) as server:
        yield server


@pytest.fixture
def owner(server) -> dict:
    """A new account and its root user's access key."""
    return json.loads(server.host.run("account", "create", "--json", "--data-dir", server.dir).stdout)


@pytest.fixture
def client(request, server, owner, tmp_path):
    client = CLIENTS[request.param](server, (owner["AccessKeyId"], owner["SecretAccessKey"]), tmp_path)
    yield client
    client.close()


@pytest.mark.parametrize("client", CLIENTS, indirect=True)
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(client, name, owner, proxy):
    in_30_days = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=30)
    scene = {
        "account": owner["AccountId"],
        "in_30_days": in_30_days.replace(microsecond=0).isoformat(),
        "proxy": {"endpoint": proxy.endpoint, "path": PATH, "credential": proxy.credential, "key": EXTERNAL_KEY},
    }
    scenario.play(SCENARIOS[name], client, scene)


@pytest.mark.parametrize("client", CLIENTS, indirect=True)
def test_the_scenarios_call_every_operation_that_the_client_has(request, client):
    model = set(json.loads((scenario.TOP / "crates/api/model/kms.json").read_text())["operations"])
    assert scenario.operations("kms") == model
    assert client.operations("kms") == model - NEWER_THAN.get(request.node.callspec.params["client"], set())
    assert scenario.operations("iam") | scenario.operations("sts") == scenario.served() - model


def test_every_operation_of_the_sdk_for_rust_is_called():
    """Its client can't tell what it has: the driver's list is what `client.operations` says."""
    model = json.loads((scenario.TOP / "crates/api/model/kms.json").read_text())["operations"]
    assert rust_operations() == set(model)
