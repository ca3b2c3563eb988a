// The Node.js side of tests/test_columns.py: does what each line of standard input says, and answers with a line. `query` is done by
// the test. The page's own program is in PAGE, the module in MODULE, and ENDPOINT is the server.
import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(`${process.env.NODE_PATH}/`);
const esdk = require("@aws-crypto/client-node");
const { KMS } = require("@aws-sdk/client-kms");
const { Records, esdkSealer } = await import(process.env.MODULE);

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
const next = async () => {
  const { done, value } = await lines.next();
  return done ? undefined : JSON.parse(value);
};

async function query(sql, values) {
  tell({ query: sql, values: values.map((value) => Buffer.from(value).toString("hex")) });
  const rows = await next();
  return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, hex]) => [name, Buffer.from(hex, "hex")])));
}

const kmsClient = new KMS({ endpoint: process.env.ENDPOINT, region: "us-east-1" });
const page = new Function("esdk", "Records", "esdkSealer", "query", "kmsClient", "KMS_KEY", `${process.env.PAGE}; return { records, place };`);
const { records, place } = page(esdk, Records, esdkSealer, query, kmsClient, process.env.KMS_KEY);

for (let job = await next(); job !== undefined; job = await next()) {
  const bytes = job.bytes && Buffer.from(job.bytes, "hex");
  try {
    if (job.do === "seal") tell({ answer: (await records.seal(place(job.column, job.id), bytes)).toString("hex") });
    if (job.do === "open") tell({ answer: (await records.open(place(job.column, job.id), bytes)).toString("hex") });
    if (job.do === "index") {
      const index = await records.blindIndex(Buffer.from(job.key, "hex"));
      tell({ answer: index({ table: "patients", column: job.column }, bytes).toString("hex") });
    }
  } catch (error) {
    tell({ error: error.message });
  }
}
