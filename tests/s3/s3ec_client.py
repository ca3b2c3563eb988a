"""AWS's S3 Encryption Client, as a program: `s3ec_client.py put|get ALGORITHM POLICY BUCKET KEY KMS-KEY CONTEXT-JSON`.

Content goes through standard input and output. Endpoints and credentials come from the environment.
"""

import json
import os
import sys

import boto3
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

what, algorithm, policy, bucket, key, kms_key, context = sys.argv[1:]
keyring = KmsKeyring(kms_client=boto3.client("kms", endpoint_url=os.environ["KMS_URL"], region_name="us-east-1",
                                             aws_access_key_id=os.environ["KMS_KEY_ID"],
                                             aws_secret_access_key=os.environ["KMS_SECRET"]), kms_key_id=kms_key)
config = S3EncryptionClientConfig(keyring=keyring, encryption_algorithm=AlgorithmSuite[algorithm],
                                  commitment_policy=CommitmentPolicy[policy])
plain = boto3.client("s3", endpoint_url=os.environ["S3_URL"], region_name="us-east-1", aws_access_key_id="x",
                     aws_secret_access_key="y")
client = S3EncryptionClient(plain, config)
more = {"EncryptionContext": json.loads(context)} if json.loads(context) else {}
if what == "put":
    client.put_object(Bucket=bucket, Key=key, Body=sys.stdin.buffer.read(), **more)
else:
    sys.stdout.buffer.write(client.get_object(Bucket=bucket, Key=key, **more)["Body"].read())
