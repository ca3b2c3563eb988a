"""Signatures, MACs, public keys and data key pairs, checked by an implementation of its own: Python's `cryptography`."""

import hashlib
import hmac

import ed25519ph
import pytest
from conftest import refused
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, utils

MESSAGE = b"a message that is signed" * 20
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"ECC_NIST_P256": "secp256r1", "ECC_NIST_P384": "secp384r1", "ECC_NIST_P521": "secp521r1",
          "ECC_SECG_P256K1": "secp256k1"}


def made(kms, spec, usage="SIGN_VERIFY"):
    return kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]


def verify(public, algorithm, signature, message):
    """Raises InvalidSignature."""
    if algorithm.startswith("ED25519"):
        return public.verify(signature, message)
    digest = HASHES[algorithm[-3:]]()
    if algorithm.startswith("ECDSA"):
        return public.verify(signature, message, ec.ECDSA(digest))
    pad = padding.PKCS1v15()
    if "PSS" in algorithm:
        pad = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
    return public.verify(signature, message, pad, digest)


@pytest.mark.parametrize("spec", ["RSA_2048", "RSA_3072", *CURVES, "ECC_NIST_EDWARDS25519"])
def test_signatures_hold_elsewhere_too(kms, spec):
    key = made(kms, spec)
    told = kms.get_public_key(KeyId=key["KeyId"])
    assert told["KeyId"] == key["Arn"] and told["KeySpec"] == spec and told["KeyUsage"] == "SIGN_VERIFY"
    assert told["SigningAlgorithms"] == key["SigningAlgorithms"]
    public = serialization.load_der_public_key(told["PublicKey"])
    if spec in CURVES:
        assert public.curve.name == CURVES[spec]
    for algorithm in key["SigningAlgorithms"]:
        if algorithm == "ED25519_PH_SHA_512":
            continue
        signed = kms.sign(KeyId=key["KeyId"], Message=MESSAGE, SigningAlgorithm=algorithm)
        assert signed["KeyId"] == key["Arn"] and signed["SigningAlgorithm"] == algorithm
        verify(public, algorithm, signed["Signature"], MESSAGE)
        with pytest.raises(InvalidSignature):
            verify(public, algorithm, signed["Signature"], MESSAGE + b"!")
        arguments = {"KeyId": key["KeyId"], "SigningAlgorithm": algorithm, "Signature": signed["Signature"]}
        assert kms.verify(Message=MESSAGE, **arguments)["SignatureValid"] is True
        refused(kms.verify, "KMSInvalidSignatureException", Message=MESSAGE + b"!", **arguments)


@pytest.mark.parametrize("spec,algorithm", [("ECC_NIST_P256", "ECDSA_SHA_256"), ("RSA_2048", "RSASSA_PSS_SHA_384"),
                                            ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512")])
def test_a_digest_signs_as_its_message_does(kms, spec, algorithm):
    key = made(kms, spec)["KeyId"]
    digest = hashlib.new("sha" + algorithm[-3:], MESSAGE).digest()
    signed = kms.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm=algorithm)
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    verify(public, algorithm, signed["Signature"], MESSAGE)
    refused(kms.sign, "ValidationException", f"Digest is invalid length for algorithm {algorithm}.",
            KeyId=key, Message=digest[1:], MessageType="DIGEST", SigningAlgorithm=algorithm)


# RFC 8032, section 7.3.
VECTOR = {
    "seed": "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    "public": "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    "signature": "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
                 "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406",
}


def test_ed25519ph_signs_the_digest(kms):
    """The service takes a digest, and hashes it once more, as it is the message of Ed25519ph."""
    public, signature = ed25519ph.sign(bytes.fromhex(VECTOR["seed"]), b"abc")
    assert (public.hex(), signature.hex()) == (VECTOR["public"], VECTOR["signature"])

    key = made(kms, "ECC_NIST_EDWARDS25519")["KeyId"]
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    digest = hashlib.sha512(MESSAGE).digest()
    how = {"KeyId": key, "MessageType": "DIGEST", "SigningAlgorithm": "ED25519_PH_SHA_512"}
    signature = kms.sign(Message=digest, **how)["Signature"]
    assert ed25519ph.verifies(raw, digest, signature)
    assert not ed25519ph.verifies(raw, MESSAGE, signature)
    with pytest.raises(InvalidSignature):
        public.verify(signature, digest)
    assert kms.verify(Message=digest, Signature=signature, **how)["SignatureValid"] is True
    refused(kms.verify, "KMSInvalidSignatureException", Message=hashlib.sha512(b"").digest(), Signature=signature, **how)
    stranger, foreign = ed25519ph.sign(bytes(32), digest)
    assert ed25519ph.verifies(stranger, digest, foreign)
    refused(kms.verify, "KMSInvalidSignatureException", Message=digest, Signature=foreign, **how)
    refused(kms.sign, "ValidationException", "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.",
            **{**how, "Message": digest, "MessageType": "RAW"})


@pytest.mark.parametrize("bits", ["44", "65", "87"])
def test_ml_dsa(kms, bits):
    key = made(kms, f"ML_DSA_{bits}")["KeyId"]
    public = serialization.load_der_public_key(kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, getattr(mldsa, f"MLDSA{bits}PublicKey"))
    how = {"KeyId": key, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    signature = kms.sign(Message=MESSAGE, **how)["Signature"]
    public.verify(signature, MESSAGE)
    with pytest.raises(InvalidSignature):
        public.verify(signature, MESSAGE + b"!")
    # What the caller hashed to mu is signed as its message is.
    hasher = mldsa.MLDSAMuHasher(public)
    hasher.update(MESSAGE)
    mu = hasher.finalize()
    signature = kms.sign(Message=mu, MessageType="EXTERNAL_MU", **how)["Signature"]
    public.verify(signature, MESSAGE)
    assert kms.verify(Message=MESSAGE, Signature=signature, **how)["SignatureValid"] is True
    refused(kms.sign, "ValidationException", "External Mu is invalid length for algorithm ML_DSA_SHAKE_256.",
            Message=mu[1:], MessageType="EXTERNAL_MU", **how)


def test_what_was_signed_elsewhere_is_compared_with_the_key(kms):
    key = made(kms, "ECC_NIST_P256")["KeyId"]
    stranger = ec.generate_private_key(ec.SECP256R1())
    signature = stranger.sign(MESSAGE, ec.ECDSA(hashes.SHA256()))
    r, s = utils.decode_dss_signature(signature)
    for wrong in [signature, utils.encode_dss_signature(s, r), b"\x30\x00", b"x"]:
        refused(kms.verify, "KMSInvalidSignatureException", KeyId=key, Message=MESSAGE, Signature=wrong,
                SigningAlgorithm="ECDSA_SHA_256")


@pytest.mark.parametrize("bits", ["224", "256", "384", "512"])
def test_macs(kms, bits):
    key = made(kms, f"HMAC_{bits}", "GENERATE_VERIFY_MAC")
    algorithm = f"HMAC_SHA_{bits}"
    answer = kms.generate_mac(KeyId=key["KeyId"], Message=MESSAGE, MacAlgorithm=algorithm)
    assert answer["KeyId"] == key["Arn"] and len(answer["Mac"]) == int(bits) // 8
    again = kms.generate_mac(KeyId=key["KeyId"], Message=MESSAGE, MacAlgorithm=algorithm)
    assert hmac.compare_digest(again["Mac"], answer["Mac"])
    arguments = {"KeyId": key["KeyId"], "Message": MESSAGE, "MacAlgorithm": algorithm}
    assert kms.verify_mac(Mac=answer["Mac"], **arguments)["MacValid"] is True
    refused(kms.verify_mac, "KMSInvalidMacException", Mac=answer["Mac"][:-1] + bytes([answer["Mac"][-1] ^ 1]), **arguments)
    refused(kms.get_public_key, "UnsupportedOperationException", KeyId=key["KeyId"])


@pytest.mark.parametrize("spec", ["RSA_2048", *CURVES, "ECC_NIST_EDWARDS25519"])
def test_data_key_pairs_are_pairs(kms, key, spec):
    context = {"purpose": "signing"}
    pair = kms.generate_data_key_pair(KeyId=key["KeyId"], KeyPairSpec=spec, EncryptionContext=context)
    assert pair["KeyId"] == key["Arn"] and pair["KeyPairSpec"] == spec
    private = serialization.load_der_private_key(pair["PrivateKeyPlaintext"], password=None)
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public == pair["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"], EncryptionContext=context)
    assert opened["Plaintext"] == pair["PrivateKeyPlaintext"]
    sealed = kms.generate_data_key_pair_without_plaintext(KeyId=key["KeyId"], KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in sealed
    private = kms.decrypt(CiphertextBlob=sealed["PrivateKeyCiphertextBlob"])["Plaintext"]
    private = serialization.load_der_private_key(private, password=None)
    public = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public == sealed["PublicKey"]
