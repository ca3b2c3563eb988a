"""A second, small maker of Nitro attestation documents: a chain like AWS's, CBOR by cbor2, signatures by cryptography.

Source: AWS, "Nitro Enclaves Attestation Process" (github.com/aws/aws-nitro-enclaves-nsm-api).
"""

import datetime

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

ES384 = -35
HOUR = datetime.timedelta(hours=1)
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc)


class Pki:
    """Root, region, zone, instance, and the leaf that signs documents; valid from an hour before `at`."""

    def __init__(self, at=None, leaf_hours=3, root_years=30):
        self.at = at or now()
        self.certificates = []
        issuer = None
        for depth, (name, life) in enumerate(
            [
                ("aws.nitro-enclaves", datetime.timedelta(days=365 * root_years)),
                ("0123456789abcdef.us-east-1.aws.nitro-enclaves", datetime.timedelta(days=20)),
                ("0123456789abcdef.zonal.us-east-1.aws.nitro-enclaves", datetime.timedelta(days=6)),
                ("i-0123456789abcdef0.us-east-1.aws.nitro-enclaves", datetime.timedelta(days=1)),
                ("i-0123456789abcdef0-enc0123456789abcdef.us-east-1.aws", leaf_hours * HOUR),
            ]
        ):
            key = ec.generate_private_key(ec.SECP384R1())
            subject = x509.Name(
                [
                    x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                    x509.NameAttribute(NameOID.COMMON_NAME, name),
                ]
            )
            is_leaf = depth == 4
            builder = (
                x509.CertificateBuilder()
                .subject_name(subject)
                .issuer_name(issuer[0] if issuer else subject)
                .public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(self.at - HOUR)
                .not_valid_after(self.at + life)
                .add_extension(
                    x509.BasicConstraints(ca=not is_leaf, path_length=[None, 2, 1, 0, None][depth]), critical=True
                )
                .add_extension(usage(sign=is_leaf or depth < 3, certify=not is_leaf), critical=not is_leaf)
            )
            self.certificates.append(builder.sign((issuer or (None, key))[1], hashes.SHA384()))
            issuer = (subject, key)
        self.leaf_key = issuer[1]

    @property
    def root_pem(self) -> bytes:
        return self.certificates[0].public_bytes(PEM)

    def payload(self, recipient, **changes) -> dict:
        """The fields of a document; a change to None leaves the field out."""
        fields = {
            "module_id": "i-0123456789abcdef0-enc0123456789abcdef",
            "digest": "SHA384",
            "timestamp": int(self.at.timestamp() * 1000),
            "pcrs": {number: bytes([number + 1]) * 48 for number in range(16)},
            "certificate": self.certificates[-1].public_bytes(DER),
            "cabundle": [certificate.public_bytes(DER) for certificate in self.certificates[:-1]],
            "public_key": spki(recipient),
            "user_data": b"\0nothing\xff",
            "nonce": b"\0" * 32,
        }
        fields.update(changes)
        return {name: value for name, value in fields.items() if value is not None}

    def document(self, recipient, **changes) -> bytes:
        return self.sign(cbor2.dumps(self.payload(recipient, **changes)))

    def sign(self, payload: bytes) -> bytes:
        """COSE_Sign1 (RFC 9052), untagged, as Nitro writes it."""
        protected = cbor2.dumps({1: ES384})
        signed = cbor2.dumps(["Signature1", protected, b"", payload])
        r, s = decode_dss_signature(self.leaf_key.sign(signed, ec.ECDSA(hashes.SHA384())))
        return cbor2.dumps([protected, {}, payload, r.to_bytes(48, "big") + s.to_bytes(48, "big")])


def usage(sign: bool, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(sign, False, False, False, False, certify, certify and sign, False, False)


def spki(public_key) -> bytes:
    return public_key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def recipient_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
