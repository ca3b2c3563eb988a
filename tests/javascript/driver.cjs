// Makes calls with the AWS SDK for JavaScript, version 3: one for each line of standard input,
// {"service", "region", "operation", "input"}, answered by a line with "answer" or "error". Before them, a line with the
// operations that the SDK has. The endpoint is in ENDPOINT, credentials where the SDK finds them, the SDK in NODE_PATH.
//
// In both directions bytes are {"$bytes": base64} and times {"$time": ISO 8601}, by the types that the SDK gives and demands.
"use strict";

const readline = require("node:readline");
const sdks = { kms: require("@aws-sdk/client-kms"), sts: require("@aws-sdk/client-sts") };
const clients = { kms: sdks.kms.KMSClient, sts: sdks.sts.STSClient };

function operations(sdk) {
  const commands = Object.keys(sdk).filter((name) => /^[A-Z]\w*Command$/.test(name));
  return commands.map((name) => name.slice(0, -"Command".length));
}

function fromJson(_name, value) {
  if (value && typeof value.$bytes === "string") return new Uint8Array(Buffer.from(value.$bytes, "base64"));
  if (value && typeof value.$time === "string") return new Date(value.$time);
  return value;
}

function toJson(value) {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) return { $time: value.toISOString() };
  if (Array.isArray(value)) return value.map(toJson);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJson(member)]));
}

const made = new Map();

function client(service, region) {
  const key = `${service} ${region}`;
  if (!made.has(key)) made.set(key, new clients[service]({ region, endpoint: process.env.ENDPOINT, maxAttempts: 1 }));
  return made.get(key);
}

async function call({ service, region, operation, input }) {
  const Command = sdks[service][`${operation}Command`];
  try {
    const { $metadata, ...answer } = await client(service, region).send(new Command(input));
    return { answer: toJson(answer) };
  } catch (error) {
    // What the service didn't say is no answer: the process ends, and says what it was.
    if (error.$fault === undefined) throw error;
    // The SDK's own word for an empty message.
    return { error: { code: error.name, message: error.message === "UnknownError" ? "" : error.message } };
  }
}

async function main() {
  const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
  write({ operations: { kms: operations(sdks.kms), sts: operations(sdks.sts) } });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    write(await call(JSON.parse(line, fromJson)));
  }
}

main();
