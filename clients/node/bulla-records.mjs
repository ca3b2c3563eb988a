// Records of bulla: docs/record-format.md, for Node.js. Needs nothing else; sealed keys need @aws-crypto/client-node.
//
//     const records = new Records(table, esdkSealer(esdk, keyring));
//     const row = await records.seal({ table: "patients", column: "name", id: "17" }, Buffer.from("Ada"));
//     await records.open({ table: "patients", column: "name", id: "17" }, row);

import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export const OVERHEAD = 66;
const HEAD = 50;
const MAX_CONTENT = 1 << 20;
const MAX_CONTEXT = 1 << 16;
const MAX_RECORDS = 2 ** 32;
const PURPOSE = "bulla-key";

/** A record that doesn't open, or can't be sealed. */
export class RecordError extends Error {}

function u32(number) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

/** Text as it is kept: what UTF-8 can't hold would become something else. */
function utf8(text, otherwise) {
  if (typeof text !== "string" || !text.isWellFormed()) throw new RecordError(otherwise);
  return Buffer.from(text);
}

/** The bytes of what has such: of an array those of its elements. */
function binary(value, otherwise) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  throw new RecordError(otherwise);
}

/** The same, or of a text. */
function bytesOf(value) {
  const otherwise = "bytes or text are needed";
  return typeof value === "string" ? utf8(value, otherwise) : binary(value, otherwise);
}

/** The one form of a context: its pairs in the order of their names' bytes, each text after its length. */
export function canonical(context) {
  const pairs = Object.entries(context).map((pair) => pair.map((text) => utf8(text, "a context has text only")));
  pairs.sort(([one], [other]) => Buffer.compare(one, other));
  const out = Buffer.concat(pairs.flat().flatMap((bytes) => [u32(bytes.length), bytes]));
  if (out.length > MAX_CONTEXT) throw new RecordError("the associated data of a record has at most 64 KiB");
  return out;
}

/** SP 800-108, counter mode, one block of 32 bytes. */
function derive(key, label, context = Buffer.alloc(0)) {
  return createHmac("sha256", key).update(u32(1)).update(label).update("\0").update(context).update(u32(256)).digest();
}

/** The id of a record key. */
export function keyId(key) {
  return derive(key, "bulla/record-key-id/v1");
}

/** The id of the record key that a record needs: for finding the rows that are still to be sealed anew. */
export function keyIdOf(record) {
  const bytes = binary(record, "not a sealed record");
  const length = bytes.length;
  if (length < OVERHEAD || length > OVERHEAD + MAX_CONTENT || bytes[0] !== 1 || bytes[1] !== 1) {
    throw new RecordError("not a sealed record");
  }
  return bytes.subarray(2, 34);
}

/** Seals under a record key that the caller has. */
export function sealWith(key, context, content) {
  const bytes = bytesOf(content);
  if (bytes.length > MAX_CONTENT) throw new RecordError("a record holds at most 1 MiB");
  const salt = randomBytes(16);
  const head = Buffer.concat([Buffer.from([1, 1]), keyId(key), salt]);
  const cipher = createCipheriv("aes-256-gcm", derive(key, "bulla/record/v1", salt), Buffer.alloc(12));
  cipher.setAAD(Buffer.concat([head, canonical(context)]));
  return Buffer.concat([head, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
}

/** Opens with the record key that `keyIdOf` names. */
export function openWith(key, context, record) {
  const wanted = keyIdOf(record);
  if (!timingSafeEqual(keyId(key), wanted)) throw new RecordError("this is another key than the record's");
  const bytes = binary(record, "not a sealed record");
  const head = bytes.subarray(0, HEAD);
  const options = { authTagLength: 16 };
  const cipher = createDecipheriv("aes-256-gcm", derive(key, "bulla/record/v1", head.subarray(34)), Buffer.alloc(12), options);
  cipher.setAAD(Buffer.concat([head, canonical(context)]));
  cipher.setAuthTag(bytes.subarray(-16));
  const content = cipher.update(bytes.subarray(HEAD, -16));
  try {
    return Buffer.concat([content, cipher.final()]);
  } catch {
    throw new RecordError("the record is not authentic: it was changed, or belongs to another row, column or context");
  }
}

/** The 16 bytes under which a value of a column is found. */
export function blindIndexWith(key, column, value) {
  const where = canonical(column);
  const digest = createHmac("sha256", key).update("bulla/blind-index/v1\0").update(u32(where.length)).update(where).update(bytesOf(value));
  return digest.digest().subarray(0, 16);
}

/** Seals record keys as messages of the AWS Encryption SDK. `esdk` is the module @aws-crypto/client-node. */
export function esdkSealer(esdk, keyring, context = {}) {
  if (PURPOSE in context) throw new RecordError(`the context name ${PURPOSE} is reserved`);
  const client = esdk.buildClient(esdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const suiteId = esdk.AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  return {
    async seal(purpose, key) {
      const encryptionContext = { ...context, [PURPOSE]: purpose };
      return (await client.encrypt(keyring, key, { suiteId, encryptionContext })).result;
    },
    async open(purpose, sealed) {
      const { plaintext, messageHeader } = await client.decrypt(keyring, sealed);
      for (const [name, value] of Object.entries({ ...context, [PURPOSE]: purpose })) {
        if (messageHeader.encryptionContext[name] !== value) throw new RecordError(`the sealed key has another value for ${name}`);
      }
      return plaintext;
    },
  };
}

/**
 * Seals and opens records, with the keys of a table.
 *
 * `table` has `get(id)`, which gives the sealed key or undefined, and `add(id, sealed)`, after which it is durable.
 */
export class Records {
  #table;
  #sealer;
  #limits;
  #current;
  #opened = new Map();

  constructor(table, sealer, { maxAgeMs = 3_600_000, maxRecords = 2 ** 24, maxKeys = 1000 } = {}) {
    this.#table = table;
    this.#sealer = sealer;
    this.#limits = { maxAgeMs, maxRecords: Math.min(maxRecords, MAX_RECORDS), maxKeys };
  }

  async seal(context, content) {
    return sealWith(await this.#sealingKey(), context, content);
  }

  async open(context, record) {
    const id = keyIdOf(record);
    const name = id.toString("hex");
    let kept = this.#opened.get(name);
    if (kept === undefined || performance.now() >= kept.ends) {
      const key = await this.#openKey("records/v1", id);
      kept = { key, ends: performance.now() + this.#limits.maxAgeMs };
      while (this.#opened.size >= this.#limits.maxKeys) this.#opened.delete(this.#opened.keys().next().value);
      this.#opened.set(name, kept);
    }
    return openWith(kept.key, context, record);
  }

  /** What is sealed next is sealed under a new key. */
  forgetKeys() {
    this.#current = undefined;
    this.#opened.clear();
  }

  /** Makes the key of a blind index, and gives its id, to be kept in the configuration. */
  async makeBlindIndex() {
    return keyId(await this.#makeKey("blind-index/v1"));
  }

  /** A function of column and value, which gives the index. */
  async blindIndex(id) {
    const key = await this.#openKey("blind-index/v1", id);
    return (column, value) => blindIndexWith(key, column, value);
  }

  async #sealingKey() {
    const { maxAgeMs, maxRecords } = this.#limits;
    let current = this.#current;
    if (current === undefined || performance.now() >= current.ends || current.records >= maxRecords) {
      current = { key: this.#makeKey("records/v1"), ends: performance.now() + maxAgeMs, records: 0 };
      this.#current = current;
      current.key.catch(() => {
        if (this.#current === current) this.#current = undefined;
      });
    }
    current.records += 1;
    return current.key;
  }

  async #makeKey(purpose) {
    const key = randomBytes(32);
    await this.#table.add(keyId(key), await this.#sealer.seal(purpose, key));
    return key;
  }

  async #openKey(purpose, id) {
    const sealed = await this.#table.get(id);
    if (!sealed) throw new RecordError(`the key table has no key ${id.toString("hex")}`);
    const key = Buffer.from(await this.#sealer.open(purpose, sealed));
    if (key.length !== 32 || !timingSafeEqual(keyId(key), id)) {
      throw new RecordError(`the key table has another key under the id ${id.toString("hex")}`);
    }
    return key;
  }
}
