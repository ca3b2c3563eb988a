"""Custom key stores: external ones against a proxy that was written from the specification alone, the others refused."""

import base64
import json
import os
import re
import time

import pytest
from botocore.exceptions import ClientError
from conftest import Host, Server, audit_records, refused
from xks_proxy import HOST, PATH, ExternalKey, Fault, XksProxy

NOT_CONNECTED = (
    "This KMS key is in a custom key store that is not connected to its external key store proxy. Connect the external key "
    "store and try the request again."
)
CANNOT_INTERPRET = (
    "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, report it to "
    "your external key store proxy administrator."
)
NOT_AUTHENTIC = (
    "The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, "
    "missing, or otherwise invalid."
)
TIMEOUT_MS = 1500


@pytest.fixture(scope="module")
def world(bulla, tmp_path_factory):
    """A proxy and a server that finds it."""
    directory = tmp_path_factory.mktemp("xks")
    proxy = XksProxy(directory)
    options = ["--xks-connect", f"{HOST}=127.0.0.1:{proxy.port}", "--ca-file", proxy.ca_file]
    options += ["--xks-timeout", TIMEOUT_MS, "--region", "us-east-1,eu-central-1"]
    with Server(Host(bulla, directory / "home"), directory / "data", *options) as server:
        server.proxy = proxy
        yield server
    proxy.close()


@pytest.fixture
def proxy(world):
    """The proxy as it is when it works."""
    proxy = world.proxy
    proxy.fault, proxy.denied, proxy.requests = None, set(), []
    proxy.managers = [{"id": "ekm-1", "model": "Keeper 3000", "healthStatus": "ACTIVE"}]
    proxy.keys = {"first": ExternalKey(), "second": ExternalKey()}
    return proxy


@pytest.fixture
def credentials(world):
    """An account of the test's own."""
    made = json.loads(world.host.run("account", "create", "--json", "--data-dir", world.dir).stdout)
    return made["AccessKeyId"], made["SecretAccessKey"]


@pytest.fixture
def kms(world, proxy, credentials):
    return world.client(credentials=credentials)


def new_store(proxy, **more) -> dict:
    return {
        "CustomKeyStoreName": "outside",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": proxy.endpoint,
        "XksProxyUriPath": PATH,
        "XksProxyAuthenticationCredential": proxy.credential,
        **more,
    }


@pytest.fixture
def store(kms, proxy) -> str:
    """A connected store."""
    store = kms.create_custom_key_store(**new_store(proxy))["CustomKeyStoreId"]
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert state(kms, store) == "CONNECTED"
    proxy.requests.clear()
    return store


@pytest.fixture
def key(kms, store, proxy) -> dict:
    """A key in it."""
    made = new_key(kms, store, "first")
    proxy.requests.clear()
    return made


def new_key(kms, store, external, **more) -> dict:
    members = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": external, **more}
    return kms.create_key(**members)["KeyMetadata"]


def entry(kms, store) -> dict:
    (found,) = kms.describe_custom_key_stores(CustomKeyStoreId=store)["CustomKeyStores"]
    return found


def state(kms, store) -> str:
    return entry(kms, store)["ConnectionState"]


def key_state(kms, key) -> str:
    return kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]


# Stores.


def test_a_store_is_made_and_described(kms, proxy):
    answer = kms.create_custom_key_store(**new_store(proxy))
    store = answer["CustomKeyStoreId"]
    assert re.fullmatch(r"cks-[0-9a-f]{17}", store)
    found = entry(kms, store)
    assert abs(found.pop("CreationDate").timestamp() - time.time()) < 60
    assert found == {
        "CustomKeyStoreId": store,
        "CustomKeyStoreName": "outside",
        "ConnectionState": "DISCONNECTED",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConfiguration": {
            "Connectivity": "PUBLIC_ENDPOINT",
            "AccessKeyId": proxy.credential["AccessKeyId"],
            "UriEndpoint": proxy.endpoint,
            "UriPath": PATH,
        },
    }
    assert entry(kms, store) == kms.describe_custom_key_stores(CustomKeyStoreName="outside")["CustomKeyStores"][0]
    (request,) = proxy.requests
    assert request == {
        "call": "health",
        "key": None,
        "requestMetadata": {
            "kmsOperation": "CreateCustomKeyStore",
            "kmsRequestId": answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"],
        },
    }


def test_names_and_addresses_are_unique(kms, proxy, world):
    kms.create_custom_key_store(**new_store(proxy))
    other = "/other/kms/xks/v1"
    refused(kms.create_custom_key_store, "CustomKeyStoreNameInUseException", **new_store(proxy, XksProxyUriPath=other))
    refused(kms.create_custom_key_store, "XksProxyUriInUseException", **new_store(proxy, CustomKeyStoreName="b"))
    shouted = new_store(proxy, CustomKeyStoreName="b", XksProxyUriEndpoint="https://XKS.Example.Test")
    refused(kms.create_custom_key_store, "XksProxyUriInUseException", **shouted)
    # A failed attempt took nothing.
    assert len(kms.describe_custom_key_stores()["CustomKeyStores"]) == 1


def test_an_account_has_ten_stores_and_lists_them_in_pages(kms, proxy):
    stores = set()
    for number in range(10):
        proxy.path = f"/tenant-{number}/kms/xks/v1"
        members = new_store(proxy, CustomKeyStoreName=f"store {number}", XksProxyUriPath=proxy.path)
        stores.add(kms.create_custom_key_store(**members)["CustomKeyStoreId"])
    proxy.path = PATH
    refused(kms.create_custom_key_store, "LimitExceededException", **new_store(proxy))
    seen, marker = [], {}
    while True:
        page = kms.describe_custom_key_stores(Limit=3, **marker)
        assert len(page["CustomKeyStores"]) <= 3
        seen += [one["CustomKeyStoreId"] for one in page["CustomKeyStores"]]
        assert page["Truncated"] == ("NextMarker" in page)
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert len(seen) == 10 and set(seen) == stores
    refused(kms.describe_custom_key_stores, "InvalidMarkerException", Marker="made-up")
    kms.delete_custom_key_store(CustomKeyStoreId=seen[0])
    kms.create_custom_key_store(**new_store(proxy))


def test_what_is_not_there_is_not_found(kms, proxy, store, world):
    unknown = {"CustomKeyStoreId": "cks-1234567890abcdef0"}
    for call in (
        kms.describe_custom_key_stores, kms.update_custom_key_store, kms.connect_custom_key_store,
        kms.disconnect_custom_key_store, kms.delete_custom_key_store,
    ):
        refused(call, "CustomKeyStoreNotFoundException", **unknown)
    refused(kms.describe_custom_key_stores, "CustomKeyStoreNotFoundException", CustomKeyStoreName="none")
    refused(kms.create_key, "CustomKeyStoreNotFoundException", Origin="EXTERNAL_KEY_STORE", XksKeyId="first", **unknown)
    refused(kms.generate_random, "CustomKeyStoreNotFoundException", NumberOfBytes=8, **unknown)
    # Nor in another account, or region.
    for other in (world.client(), world.client(region="eu-central-1")):
        refused(other.describe_custom_key_stores, "CustomKeyStoreNotFoundException", CustomKeyStoreId=store)
        refused(other.disconnect_custom_key_store, "CustomKeyStoreNotFoundException", CustomKeyStoreId=store)


def test_cluster_key_stores_and_vpc_endpoint_services_are_answered_as_not_found(kms, proxy):
    cluster = {
        "CustomKeyStoreName": "hsm",
        "CloudHsmClusterId": "cluster-2a23b4cdefg",
        "TrustAnchorCertificate": "-----BEGIN CERTIFICATE-----",
        "KeyStorePassword": "password",
    }
    refused(kms.create_custom_key_store, "CloudHsmClusterNotFoundException", **cluster)
    refused(kms.create_custom_key_store, "CloudHsmClusterNotFoundException", CustomKeyStoreType="AWS_CLOUDHSM", **cluster)
    service = "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"
    private = new_store(proxy, XksProxyConnectivity="VPC_ENDPOINT_SERVICE")
    refused(kms.create_custom_key_store, "XksProxyVpcEndpointServiceNotFoundException",
            XksProxyVpcEndpointServiceName=service, **private)
    assert proxy.requests == []


@pytest.mark.parametrize("change", [
    {"XksProxyUriEndpoint": None},
    {"XksProxyUriPath": None},
    {"XksProxyConnectivity": None},
    {"XksProxyAuthenticationCredential": None},
    {"CustomKeyStoreType": None},
    {"CustomKeyStoreType": "AWS_CLOUDHSM"},
    {"CloudHsmClusterId": "cluster-2a23b4cdefg"},
    {"KeyStorePassword": "password"},
    {"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE"},
    {"XksProxyVpcEndpointServiceName": "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"},
    {"XksProxyUriEndpoint": "http://xks.example.test"},
    {"XksProxyUriEndpoint": "https://xks.example.test:8443"},
    {"XksProxyUriEndpoint": "https://xks.example.test/kms"},
    {"XksProxyUriEndpoint": "https://user@xks.example.test"},
    {"XksProxyUriPath": "/kms/xks/v1/../../admin"},
    {"XksProxyUriPath": "/kms/xks/v1?x=1"},
])
def test_members_that_do_not_fit_are_refused(kms, proxy, change):
    members = {name: value for name, value in {**new_store(proxy), **change}.items() if value is not None}
    refused(kms.create_custom_key_store, "ValidationException", **members)
    assert proxy.requests == []


def test_secrets_are_never_echoed(kms, proxy):
    for credential in ({"AccessKeyId": "lower-case-canary-id", "RawSecretAccessKey": "canary!" * 7},):
        answer = refused(kms.create_custom_key_store, "ValidationException",
                         **new_store(proxy, XksProxyAuthenticationCredential=credential))
        assert "canary" not in answer.message and "xksProxyAuthenticationCredential" in answer.message


@pytest.mark.parametrize("endpoint", ["https://127.0.0.1", "https://localhost", "https://169.254.169.254"])
def test_what_stands_inside_is_not_asked(kms, proxy, endpoint):
    refused(kms.create_custom_key_store, "XksProxyUriUnreachableException", re.compile("cannot communicate"),
            **new_store(proxy, XksProxyUriEndpoint=endpoint))


FAULTS = [
    (Fault(error="AuthenticationFailedException"), "XksProxyIncorrectAuthenticationCredentialException", "INVALID_CREDENTIALS"),
    (Fault(error="InvalidUriPathException"), "XksProxyInvalidConfigurationException", "XKS_PROXY_INVALID_CONFIGURATION"),
    (Fault(error="ValidationException"), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"),
    (Fault(error="AccessDeniedException"), "XksProxyInvalidResponseException", "XKS_PROXY_ACCESS_DENIED"),
    (Fault(error="InternalException"), "XksProxyInvalidResponseException", "XKS_PROXY_NOT_REACHABLE"),
    (Fault(error="ThrottlingException"), "XksProxyUriUnreachableException", "XKS_PROXY_NOT_REACHABLE"),
    (Fault(error="DependencyTimeoutException"), "XksProxyUriUnreachableException", "XKS_PROXY_TIMED_OUT"),
    (Fault(wait_s=TIMEOUT_MS / 1000 + 1), "XksProxyUriUnreachableException", "XKS_PROXY_TIMED_OUT"),
    (Fault(close=True), "XksProxyUriUnreachableException", "XKS_PROXY_NOT_REACHABLE"),
    (Fault(raw=b"\x00garbage\xff" * 10), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"),
    (Fault(body=b"[]"), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"),
    (Fault(body=b" " * (8 << 20)), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"),
    (Fault(change=lambda answer: answer.pop("ekmFleetDetails")), "XksProxyInvalidResponseException", "XKS_PROXY_INVALID_RESPONSE"),
]


@pytest.mark.parametrize("fault,code,connection", FAULTS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_proxy_that_fails_makes_no_store_and_no_connection(kms, proxy, fault, code, connection):
    proxy.fault = fault
    refused(kms.create_custom_key_store, code, **new_store(proxy))
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []
    proxy.fault = None
    store = kms.create_custom_key_store(**new_store(proxy))["CustomKeyStoreId"]
    proxy.fault = fault
    refused(kms.update_custom_key_store, code, CustomKeyStoreId=store, XksProxyAuthenticationCredential=proxy.credential)
    # Connecting says in the state how it went.
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    found = entry(kms, store)
    assert (found["ConnectionState"], found["ConnectionErrorCode"]) == ("FAILED", connection)
    proxy.fault = None
    # A failed connection is given up first.
    for call, members in (
        (kms.connect_custom_key_store, {}),
        (kms.update_custom_key_store, {"NewCustomKeyStoreName": "b"}),
        (kms.delete_custom_key_store, {}),
    ):
        refused(call, "CustomKeyStoreInvalidStateException", CustomKeyStoreId=store, **members)
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    found = entry(kms, store)
    assert found["ConnectionState"] == "DISCONNECTED" and "ConnectionErrorCode" not in found
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert state(kms, store) == "CONNECTED"


def test_a_wrong_secret_is_noticed(kms, proxy):
    wrong = {**proxy.credential, "RawSecretAccessKey": "A" * 43}
    refused(kms.create_custom_key_store, "XksProxyIncorrectAuthenticationCredentialException",
            **new_store(proxy, XksProxyAuthenticationCredential=wrong))


def test_managers_that_are_all_unavailable(kms, proxy):
    proxy.managers = [{"id": str(n), "model": "m", "healthStatus": "UNAVAILABLE"} for n in range(2)]
    refused(kms.create_custom_key_store, "XksProxyUriUnreachableException", re.compile("unhealthy"), **new_store(proxy))
    proxy.managers[1]["healthStatus"] = "DEGRADED"
    store = kms.create_custom_key_store(**new_store(proxy))["CustomKeyStoreId"]
    proxy.managers[1]["healthStatus"] = "UNAVAILABLE"
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert entry(kms, store)["ConnectionErrorCode"] == "XKS_PROXY_NOT_REACHABLE"


def test_states_and_what_they_allow(kms, proxy):
    store = kms.create_custom_key_store(**new_store(proxy))["CustomKeyStoreId"]
    refused(kms.disconnect_custom_key_store, "CustomKeyStoreInvalidStateException", CustomKeyStoreId=store)
    answer = kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert set(answer) == {"ResponseMetadata"}
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert state(kms, store) == "CONNECTED"
    refused(kms.delete_custom_key_store, "CustomKeyStoreInvalidStateException", CustomKeyStoreId=store)
    # Where the proxy is, changes only while it is not connected.
    elsewhere = {"XksProxyConnectivity": "PUBLIC_ENDPOINT", "XksProxyUriEndpoint": proxy.endpoint}
    refused(kms.update_custom_key_store, "CustomKeyStoreInvalidStateException", CustomKeyStoreId=store, **elsewhere)
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    assert state(kms, store) == "DISCONNECTED"
    kms.update_custom_key_store(CustomKeyStoreId=store, **elsewhere)
    kms.delete_custom_key_store(CustomKeyStoreId=store)
    assert kms.describe_custom_key_stores()["CustomKeyStores"] == []
    # Name and address are free again.
    kms.create_custom_key_store(**new_store(proxy))


def test_a_store_is_renamed_and_moved(kms, proxy, store, key):
    kms.update_custom_key_store(CustomKeyStoreId=store, NewCustomKeyStoreName="inside")
    assert proxy.requests == []
    refused(kms.describe_custom_key_stores, "CustomKeyStoreNotFoundException", CustomKeyStoreName="outside")
    (found,) = kms.describe_custom_key_stores(CustomKeyStoreName="inside")["CustomKeyStores"]
    assert found["CustomKeyStoreId"] == store
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    proxy.path = "/moved/kms/xks/v1"
    try:
        refused(kms.decrypt, "KMSInvalidStateException", re.compile("invalid URI path"), CiphertextBlob=blob)
        kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath=proxy.path)
        assert entry(kms, store)["XksProxyConfiguration"]["UriPath"] == proxy.path
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    finally:
        proxy.path = PATH
    refused(kms.update_custom_key_store, "XksProxyInvalidConfigurationException", CustomKeyStoreId=store,
            XksProxyUriPath="/nowhere/kms/xks/v1")
    kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath=PATH)


def test_a_credential_is_exchanged_while_connected(kms, proxy, store, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    (old,) = [id for id, secret in proxy.credentials.items() if id == entry(kms, store)["XksProxyConfiguration"]["AccessKeyId"]]
    new = proxy.new_credential()
    kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyAuthenticationCredential=new)
    secret = proxy.credentials.pop(old)
    try:
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert entry(kms, store)["XksProxyConfiguration"]["AccessKeyId"] == new["AccessKeyId"]
        refused(kms.update_custom_key_store, "XksProxyIncorrectAuthenticationCredentialException", CustomKeyStoreId=store,
                XksProxyAuthenticationCredential={"AccessKeyId": old, "RawSecretAccessKey": secret})
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    finally:
        proxy.credentials[old] = secret


# Keys.


def test_a_key_is_associated_with_an_external_one(kms, proxy, store):
    answer = kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId="first", Description="d")
    made = answer["KeyMetadata"]
    assert made["Origin"] == "EXTERNAL_KEY_STORE" and made["KeyState"] == "Enabled" and made["Enabled"]
    assert made["CustomKeyStoreId"] == store and made["XksKeyConfiguration"] == {"Id": "first"}
    assert (made["KeySpec"], made["KeyUsage"], made["MultiRegion"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", False)
    assert "CurrentKeyMaterialId" not in made and "ExpirationModel" not in made
    assert kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"] == made
    (request,) = proxy.requests
    assert (request["call"], request["key"]) == ("metadata", "first")
    account = made["AWSAccountId"]
    assert request["requestMetadata"] == {
        "awsPrincipalArn": f"arn:aws:iam::{account}:root",
        "kmsOperation": "CreateKey",
        "kmsRequestId": answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"],
    }


def test_an_external_key_has_one_kms_key(kms, proxy, store, key):
    members = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": "first"}
    refused(kms.create_key, "XksKeyAlreadyInUseException", **members)
    new_key(kms, store, "second")


@pytest.mark.parametrize("members", [
    {"Origin": "EXTERNAL_KEY_STORE"},
    {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": None},
    {"Origin": "EXTERNAL_KEY_STORE", "XksKeyId": None},
    {"Origin": None},
    {"Origin": "AWS_KMS"},
    {"Origin": "EXTERNAL"},
    {"XksKeyId": "a/b"},
    {"XksKeyId": "a" * 129},
])
def test_members_of_a_key_that_do_not_fit_are_refused(kms, proxy, store, members):
    if members == {"Origin": "EXTERNAL_KEY_STORE"}:
        members = {"CustomKeyStoreId": None, "XksKeyId": None}
    whole = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": "first", **members}
    refused(kms.create_key, "ValidationException", **{name: value for name, value in whole.items() if value is not None})
    assert proxy.requests == []


@pytest.mark.parametrize("members", [
    {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
    {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    {"MultiRegion": True},
])
def test_only_symmetric_keys_of_one_region_live_outside(kms, proxy, store, members):
    whole = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": "first", **members}
    refused(kms.create_key, "UnsupportedOperationException", **whole)


def test_an_external_key_must_be_there_and_fit(kms, proxy, store):
    members = {"Origin": "EXTERNAL_KEY_STORE", "CustomKeyStoreId": store, "XksKeyId": "third"}
    refused(kms.create_key, "XksKeyNotFoundException", re.compile("not found in its external key manager"), **members)
    unfit = "XksKeyInvalidConfigurationException"
    proxy.keys["third"] = ExternalKey(spec="AES_128")
    refused(kms.create_key, unfit, "The key spec of the external key must be AES_256. The key spec of specified external key "
            "is AES_128.", **members)
    proxy.keys["third"] = ExternalKey(status="DISABLED")
    refused(kms.create_key, unfit, "The status of the external key must be ENABLED. The status of specified external key is "
            "DISABLED.", **members)
    proxy.keys["third"] = ExternalKey(usage=["ENCRYPT", "SIGN"])
    refused(kms.create_key, unfit, "The key usage of the external key must include ENCRYPT and DECRYPT. The key use of "
            "specified external key is ENCRYPT, SIGN.", **members)
    proxy.keys["third"] = ExternalKey()
    for fault, code in (
        (Fault(error="AccessDeniedException"), "CustomKeyStoreInvalidStateException"),
        (Fault(error="AuthenticationFailedException"), "CustomKeyStoreInvalidStateException"),
        (Fault(error="InvalidStateException"), unfit),
        (Fault(error="InvalidKeyUsageException"), unfit),
        (Fault(error="InternalException"), "CustomKeyStoreInvalidStateException"),
        (Fault(body=b"{}"), "CustomKeyStoreInvalidStateException"),
        (Fault(close=True), "CustomKeyStoreInvalidStateException"),
    ):
        proxy.fault = fault
        refused(kms.create_key, code, **members)
    proxy.fault = None
    # Nothing was left behind.
    kms.create_key(**members)


def test_encrypt_and_decrypt_are_sealed_twice(kms, proxy, key):
    context = {"tenant": "a", "größe": "12"}
    plaintext = b"CANARY of a plaintext"
    answer = kms.encrypt(KeyId=key["Arn"], Plaintext=plaintext, EncryptionContext=context)
    assert answer["KeyId"] == key["Arn"] and answer["EncryptionAlgorithm"] == "SYMMETRIC_DEFAULT"
    blob = answer["CiphertextBlob"]
    (encrypt,) = proxy.requests
    assert (encrypt["call"], encrypt["key"]) == ("encrypt", "first")
    account = key["AWSAccountId"]
    assert encrypt["requestMetadata"] == {
        "awsPrincipalArn": f"arn:aws:iam::{account}:root",
        "kmsKeyArn": key["Arn"],
        "kmsOperation": "Encrypt",
        "kmsRequestId": answer["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"],
    }
    inner = base64.b64decode(encrypt["plaintext"])
    assert len(inner) == len(plaintext) + 16 and plaintext not in inner
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
    assert opened["Plaintext"] == plaintext and opened["KeyId"] == key["Arn"]
    decrypt = proxy.requests[-1]
    assert decrypt["additionalAuthenticatedData"] == encrypt["additionalAuthenticatedData"]
    assert decrypt["requestMetadata"]["kmsOperation"] == "Decrypt"
    # With the external key alone, there is but another ciphertext.
    outer = proxy.decrypt_with(proxy.keys["first"], decrypt)
    assert base64.b64decode(outer["plaintext"]) == inner


@pytest.mark.parametrize("length", [1, 16, 4096])
def test_every_length_fits(kms, proxy, key, length):
    plaintext = os.urandom(length)
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=plaintext)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext
    assert len(blob) <= 6144


def test_data_keys(kms, proxy, key):
    made = kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256", EncryptionContext={"a": "b"})
    assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})["Plaintext"] == made["Plaintext"]
    hidden = kms.generate_data_key_without_plaintext(KeyId=key["KeyId"], NumberOfBytes=64)
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 64
    operations = [request["requestMetadata"]["kmsOperation"] for request in proxy.requests]
    assert operations == ["GenerateDataKey", "Decrypt", "GenerateDataKeyWithoutPlaintext", "Decrypt"]


def test_re_encrypt_in_and_out(kms, proxy, store, key):
    inside = kms.create_key()["KeyMetadata"]
    other = new_key(kms, store, "second")
    blob = kms.encrypt(KeyId=inside["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    proxy.requests.clear()
    outside = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key["KeyId"], DestinationEncryptionContext={"a": "b"})
    assert proxy.calls() == ["encrypt"] and outside["KeyId"] == key["Arn"]
    across = kms.re_encrypt(CiphertextBlob=outside["CiphertextBlob"], SourceEncryptionContext={"a": "b"},
                            DestinationKeyId=other["KeyId"])
    assert [(one["call"], one["key"]) for one in proxy.requests[1:]] == [("decrypt", "first"), ("encrypt", "second")]
    back = kms.re_encrypt(CiphertextBlob=across["CiphertextBlob"], DestinationKeyId=inside["KeyId"])
    assert proxy.calls()[3:] == ["decrypt"]
    assert {one["requestMetadata"]["kmsOperation"] for one in proxy.requests} == {"ReEncrypt"}
    proxy.requests.clear()
    assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"])["Plaintext"] == b"x"
    assert proxy.requests == []


def test_an_external_key_that_is_rotated_still_opens(kms, proxy, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    proxy.keys["first"].versions.append(os.urandom(32))
    newer = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"y")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert kms.decrypt(CiphertextBlob=newer)["Plaintext"] == b"y"


def test_another_context_or_a_change_does_not_open(kms, proxy, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    proxy.requests.clear()
    for context in ({}, {"a": "c"}, {"A": "b"}):
        refused(kms.decrypt, "KMSInvalidStateException", NOT_AUTHENTIC, CiphertextBlob=blob, EncryptionContext=context)
    assert proxy.requests == [], "what can't open is not sent away"
    for at in range(len(blob)):
        changed = bytes(byte ^ (1 if index == at else 0) for index, byte in enumerate(blob))
        with pytest.raises(ClientError) as caught:
            kms.decrypt(CiphertextBlob=changed, EncryptionContext={"a": "b"})
        code = caught.value.response["Error"]["Code"]
        assert code in {"KMSInvalidStateException", "InvalidCiphertextException", "AccessDeniedException"}, (at, code)
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"x"


CRYPTOGRAPHIC_FAULTS = [
    (Fault(error="ValidationException"), CANNOT_INTERPRET),
    (Fault(error="InvalidStateException"), re.compile("is not enabled in the external key manager")),
    (Fault(error="InvalidCiphertextException"), re.compile("^The external key store proxy rejected the request because the "
                                                          "specified ciphertext")),
    (Fault(error="InvalidKeyUsageException"), re.compile("does not support the requested operation")),
    (Fault(error="AuthenticationFailedException"), re.compile("could not authenticate AWS KMS")),
    (Fault(error="AccessDeniedException"), re.compile("denied access to the operation")),
    (Fault(error="KeyNotFoundException"), re.compile("was not found in its external key manager")),
    (Fault(error="InvalidUriPathException"), re.compile("invalid URI path")),
    (Fault(error="UnsupportedOperationException"), re.compile("does not support the requested operation")),
    (Fault(error="ThrottlingException"), re.compile("very high request rate")),
    (Fault(error="DependencyTimeoutException"), re.compile("did not respond to the request in the time allotted")),
    (Fault(error="InternalException"), re.compile("cannot communicate with the external key manager")),
    (Fault(wait_s=TIMEOUT_MS / 1000 + 1), re.compile("did not respond in time")),
    (Fault(close=True), re.compile("cannot communicate with the external key store proxy")),
    (Fault(raw=b"HTTP/1.1 200 OK\r\n\r\ngarbage"), CANNOT_INTERPRET),
    (Fault(raw=b"HTTP/1.1 302 Found\r\nLocation: https://xks.example.test/\r\nContent-Length: 0\r\n\r\n"), CANNOT_INTERPRET),
    (Fault(body=b"x" * (1 << 20)), CANNOT_INTERPRET),
]


@pytest.mark.parametrize("fault,message", CRYPTOGRAPHIC_FAULTS, ids=range(len(CRYPTOGRAPHIC_FAULTS)))
def test_whatever_fails_outside_is_one_exception_whose_text_tells(kms, proxy, key, fault, message):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    proxy.fault = fault
    for call, members in (
        (kms.encrypt, {"KeyId": key["KeyId"], "Plaintext": b"x"}),
        (kms.generate_data_key, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
    ):
        started = time.monotonic()
        refused(call, "KMSInvalidStateException", message, **members)
        assert time.monotonic() - started < TIMEOUT_MS / 1000 + 1
    # The store stays connected, and what works again works again.
    proxy.fault = None
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def flip(name: str):
    def change(answer: dict) -> None:
        data = bytearray(base64.b64decode(answer[name]))
        data[0] ^= 1
        answer[name] = base64.b64encode(data).decode()

    return change


@pytest.mark.parametrize("change", [
    flip("ciphertext"),
    flip("ciphertextMetadata"),
    flip("initializationVector"),
    flip("authenticationTag"),
    flip("ciphertextDataIntegrityValue"),
    lambda answer: answer.pop("ciphertextDataIntegrityValue"),
    lambda answer: answer.pop("authenticationTag"),
    lambda answer: answer.update(ciphertextMetadata=base64.b64encode(b"m" * 21).decode()),
    lambda answer: answer.update(initializationVector=base64.b64encode(b"i" * 13).decode()),
    lambda answer: answer.update(ciphertext=answer["ciphertext"][:-4]),
])
def test_a_corrupt_encryption_is_never_handed_out(kms, proxy, key, change):
    proxy.fault = Fault(change=change, calls=("encrypt",))
    refused(kms.generate_data_key, "KMSInvalidStateException", CANNOT_INTERPRET, KeyId=key["KeyId"], KeySpec="AES_256")


def test_a_proxy_that_makes_up_a_plaintext_is_noticed(kms, proxy, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    proxy.fault = Fault(change=flip("plaintext"), calls=("decrypt",))
    refused(kms.decrypt, "KMSInvalidStateException", NOT_AUTHENTIC, CiphertextBlob=blob)


def test_the_proxys_own_rules_decide_too(kms, proxy, key):
    proxy.denied = {f"arn:aws:iam::{key['AWSAccountId']}:root"}
    refused(kms.encrypt, "KMSInvalidStateException", re.compile("denied access"), KeyId=key["KeyId"], Plaintext=b"x")


def test_keys_of_a_store_that_is_not_connected_are_unavailable(kms, proxy, store, key):
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    proxy.requests.clear()
    described = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
    assert described["KeyState"] == "Unavailable" and not described["Enabled"]
    for call, members in (
        (kms.encrypt, {"KeyId": key["KeyId"], "Plaintext": b"x"}),
        (kms.generate_data_key, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key["KeyId"], "KeySpec": "AES_256"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key["KeyId"]}),
    ):
        refused(call, "KMSInvalidStateException", NOT_CONNECTED, **members)
    refused(kms.create_key, "CustomKeyStoreInvalidStateException", NOT_CONNECTED, Origin="EXTERNAL_KEY_STORE",
            CustomKeyStoreId=store, XksKeyId="second")
    # It can be managed all the same; what it becomes shows when it is available again.
    kms.update_key_description(KeyId=key["KeyId"], Description="d")
    kms.create_alias(AliasName="alias/outside", TargetKeyId=key["KeyId"])
    kms.disable_key(KeyId=key["KeyId"])
    assert key_state(kms, key) == "Unavailable"
    assert proxy.requests == [], "a store that is not connected sends nothing"
    kms.connect_custom_key_store(CustomKeyStoreId=store)
    assert key_state(kms, key) == "Disabled"
    refused(kms.decrypt, "DisabledException", CiphertextBlob=blob)
    kms.enable_key(KeyId=key["KeyId"])
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


def test_a_store_with_keys_is_not_deleted(kms, proxy, store, key):
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    refused(kms.delete_custom_key_store, "CustomKeyStoreHasCMKsException", CustomKeyStoreId=store)
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert key_state(kms, key) == "PendingDeletion", "though it is unavailable too"
    refused(kms.delete_custom_key_store, "CustomKeyStoreHasCMKsException", CustomKeyStoreId=store)
    kms.cancel_key_deletion(KeyId=key["KeyId"])
    assert key_state(kms, key) == "Unavailable"


def test_what_keys_outside_do_not_have(kms, proxy, store, key):
    for call in (
        kms.rotate_key_on_demand, kms.enable_key_rotation, kms.disable_key_rotation, kms.get_key_rotation_status,
        kms.list_key_rotations,
    ):
        refused(call, "UnsupportedOperationException", f"{key['Arn']} origin is EXTERNAL_KEY_STORE which is not valid for "
                "this operation.", KeyId=key["KeyId"])
    for call in (kms.generate_data_key_pair, kms.generate_data_key_pair_without_plaintext):
        refused(call, "UnsupportedOperationException", KeyId=key["KeyId"], KeyPairSpec="ECC_NIST_P256")
    refused(kms.generate_random, "UnsupportedOperationException", NumberOfBytes=8, CustomKeyStoreId=store)


def test_the_audit_log_names_the_store_and_no_secret(world, kms, proxy, store, key):
    secret = proxy.credential["RawSecretAccessKey"]
    kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyAuthenticationCredential=proxy.credential)
    kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    deadline = time.monotonic() + 5
    wanted = {
        "CreateCustomKeyStore", "ConnectCustomKeyStore", "DescribeCustomKeyStores", "UpdateCustomKeyStore",
        "DisconnectCustomKeyStore",
    }
    while True:
        records = [one for one in audit_records(world.dir) if store in json.dumps(one)]
        if wanted <= {one["eventName"] for one in records}:
            break
        assert time.monotonic() < deadline, {one["eventName"] for one in records}
        time.sleep(0.05)
    made = next(one for one in records if one["eventName"] == "CreateCustomKeyStore")
    assert made["requestParameters"]["xksProxyUriEndpoint"] == proxy.endpoint
    assert made["responseElements"] == {"customKeyStoreId": store}
    for path in [*world.dir.rglob("*"), world.log]:
        if path.is_file() and not path.is_socket():
            assert secret.encode() not in path.read_bytes(), path


def test_stores_survive_a_restart(bulla, tmp_path):
    proxy = XksProxy(tmp_path)
    proxy.keys["first"] = ExternalKey()
    options = ["--xks-connect", f"{HOST}=127.0.0.1:{proxy.port}", "--ca-file", proxy.ca_file, "--xks-timeout", "5000"]
    host = Host(bulla, tmp_path / "home")
    with Server(host, tmp_path / "data", *options) as server:
        kms = server.client()
        connected = kms.create_custom_key_store(**new_store(proxy))["CustomKeyStoreId"]
        kms.connect_custom_key_store(CustomKeyStoreId=connected)
        key = new_key(kms, connected, "first")
        blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    with Server(host, tmp_path / "data", *options) as server:
        kms = server.client()
        assert state(kms, connected) == "CONNECTED"
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        kms.disconnect_custom_key_store(CustomKeyStoreId=connected)
    with Server(host, tmp_path / "data", *options) as server:
        kms = server.client()
        assert state(kms, connected) == "DISCONNECTED" and key_state(kms, key) == "Unavailable"
        kms.connect_custom_key_store(CustomKeyStoreId=connected)
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    # The tool's own engine asks the proxy too, and a check finds everything in its place.
    host.run("store", "check", "--data-dir", tmp_path / "data")
    sealed = host.run("encrypt", "-k", key["KeyId"], "--data-dir", tmp_path / "data", *options, input=b"hello").stdout
    opened = host.run("decrypt", "--data-dir", tmp_path / "data", *options, input=sealed).stdout
    assert opened == b"hello"
    proxy.close()


def test_without_a_word_of_the_operator_a_private_proxy_is_not_asked(bulla, tmp_path):
    with Server(Host(bulla, tmp_path / "home"), tmp_path / "data") as server:
        proxy = XksProxy(tmp_path, host="localhost")
        refused(server.client().create_custom_key_store, "XksProxyUriUnreachableException", **new_store(proxy))
        assert "xks-connect" in server.stderr()
        proxy.close()


@pytest.mark.parametrize("options", [
    ["--xks-connect", "xks.example.test"],
    ["--xks-connect", "127.0.0.1=127.0.0.1:443"],
    ["--xks-connect", "a.test=127.0.0.1:1,a.test=127.0.0.1:2"],
    ["--xks-timeout", "0"],
    ["--xks-timeout", "60000"],
])
def test_options_that_can_not_be_meant_are_wrong_usage(fresh_host, tmp_path, options):
    done = fresh_host.run("serve", "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0", *options, check=2)
    assert "xks" in done.stderr.decode()
