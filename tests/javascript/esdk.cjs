// Seals and opens with the AWS Encryption SDK for JavaScript: one call for each line of standard input,
// {"do": "encrypt" | "decrypt", "keyring", "data"} with bytes in base64, answered by a line with what came out or an "error".
// Before them, a line with the suites that the SDK has, and whether it can open what is wrapped with PKCS #1 v1.5. The SDK is in NODE_PATH.
"use strict";

const readline = require("node:readline");
const { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } = require("node:crypto");
const esdk = require("@aws-crypto/client-node");
const { KMS } = require("@aws-sdk/client-kms");

const PUBLIC_KEY = "aws-crypto-public-key";
// The SDK wants arrays that share their memory with nothing.
const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

function keyring({ kind, ...input }) {
  switch (kind) {
    case "aes": {
      const key = bytes(input.key);
      const wrappingSuite = esdk.RawAesWrappingSuiteIdentifier[`AES${key.length * 8}_GCM_IV12_TAG16_NO_PADDING`];
      return new esdk.RawAesKeyringNode({
        keyNamespace: input.namespace, keyName: input.name, unencryptedMasterKey: key, wrappingSuite,
      });
    }
    case "rsa":
      return new esdk.RawRsaKeyringNode({
        keyNamespace: input.namespace, keyName: input.name,
        rsaKey: { publicKey: input.public, privateKey: input.private },
        ...(input.hash
          ? { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: input.hash }
          : { padding: constants.RSA_PKCS1_PADDING }),
      });
    case "kms": {
      const { endpoint, credentials, arn, discovery } = input;
      const clientProvider = (region) => new KMS({ region, endpoint, credentials, maxAttempts: 1 });
      return new esdk.KmsKeyringNode(
        discovery ? { clientProvider, discovery: true } : { clientProvider, generatorKeyId: arn },
      );
    }
    default:
      throw new Error(`no keyring is a ${kind}`);
  }
}

async function call(request) {
  const policy = request.commits
    ? esdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
    : esdk.CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT;
  const { encrypt, decrypt } = esdk.buildClient(policy);
  if (request.do === "encrypt") {
    const { suite: suiteId, frame_length: frameLength, context: encryptionContext } = request;
    const options = { suiteId, frameLength, encryptionContext };
    const { result } = await encrypt(keyring(request.keyring), Buffer.from(request.data, "base64"), options);
    return { data: result.toString("base64") };
  }
  const { plaintext, messageHeader } = await decrypt(keyring(request.keyring), Buffer.from(request.data, "base64"));
  const { [PUBLIC_KEY]: _, ...context } = messageHeader.encryptionContext;
  return { data: plaintext.toString("base64"), context, suite: messageHeader.suiteId };
}

// Node.js opens PKCS #1 v1.5 only where its OpenSSL doesn't tell by time what is wrong (CVE-2023-46809).
function opensPkcs1() {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const padding = constants.RSA_PKCS1_PADDING;
  const sealed = publicEncrypt({ key: publicKey, padding }, Buffer.from("x"));
  try {
    return privateDecrypt({ key: privateKey, padding }, sealed).toString() === "x";
  } catch {
    return false;
  }
}

async function main() {
  const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  const suites = Object.values(esdk.AlgorithmSuiteIdentifier).filter((id) => typeof id === "number");
  write({ suites, opens_pkcs1: opensPkcs1() });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    write(await call(JSON.parse(line)).catch((error) => ({ error: String(error) })));
  }
}

main();
