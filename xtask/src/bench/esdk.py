"""Seals or opens a file under a raw AES key of zeros, from the file to standard output: `esdk.py seal|open FILE`."""

import sys

import aws_encryption_sdk
from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput

PIECE = 1 << 20

what, path = sys.argv[1:]
providers = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig())
keyring = providers.create_raw_aes_keyring(
    input=CreateRawAesKeyringInput(
        key_namespace="bench",
        key_name="zeros",
        wrapping_key=bytes(32),
        wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16,
    )
)
client = aws_encryption_sdk.EncryptionSDKClient(
    commitment_policy=aws_encryption_sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
)
options = {"keyring": keyring}
if what == "seal":
    options |= {
        "mode": "e",
        "frame_length": PIECE,
        "algorithm": aws_encryption_sdk.Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
    }
else:
    options |= {"mode": "d"}
with open(path, "rb") as source, client.stream(source=source, **options) as stream:
    while piece := stream.read(PIECE):
        sys.stdout.buffer.write(piece)
