"""No data key stays in the memory of a server that has given away hundreds, over HTTP and over TLS."""

import base64
import os
import subprocess
import sys
import time

import pytest
from conftest import Server
from memory_scan import forms, scan

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the memory of a process that is not dumpable")

HOLDER = """
import base64, sys, time
kept = bytes.fromhex(sys.stdin.readline())
shifted = base64.b64encode(b"x" + kept)
print("ready", flush=True)
time.sleep(60)
"""


def test_the_scanner_finds_what_a_process_keeps():
    secret = os.urandom(32)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdin.write(secret.hex().encode() + b"\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == b"ready\n"
        found = scan(holder.pid, forms(secret))
        assert secret in found, "raw"
        assert forms(secret)[4] in found, "base64, shifted by a byte"
        assert not scan(holder.pid, forms(os.urandom(32)))
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "tls"])
def test_no_data_key_stays_in_the_servers_memory(fresh_host, tmp_path, tls):
    """With `mlock` in place of `memfd_secret`, so that the scan sees the arena too."""
    args = ["--tls-auto", "localhost,127.0.0.1"] if tls else []
    with Server(fresh_host, tmp_path / "data", *args, env={"BULLA_TEST_MLOCK": "1"}) as server:
        kms = server.client(**({"verify": str(server.dir / "ca.pem")} if tls else {}))
        key = kms.create_key()["KeyMetadata"]["KeyId"]
        secrets = []
        for n in range(200):
            answer = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext={"n": str(n)})
            secrets.append(answer["Plaintext"])
            kms.decrypt(CiphertextBlob=answer["CiphertextBlob"], EncryptionContext={"n": str(n)})
            if n % 10 == 0:
                secrets.append(os.urandom(32))
                blob = kms.encrypt(KeyId=key, Plaintext=secrets[-1])["CiphertextBlob"]
                kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
                secrets.append(kms.generate_random(NumberOfBytes=32)["Plaintext"])
        # The last answer's buffers are wiped once it has been sent.
        time.sleep(0.5)
        kinds = {form: kind for secret in secrets for kind, form in enumerate(forms(secret))}
        traces = scan(server.process.pid, list(kinds))
        names = ["raw", "hex", "HEX", "base64", "base64 shifted by 1", "base64 shifted by 2"]
        assert not traces, f"{len(traces)} traces of {len(secrets)} secrets: {sorted({names[kinds[one]] for one in traces})}"
