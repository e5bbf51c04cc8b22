// Uses a Fieldledger through Pangea's own SDK for Node, which knows nothing of Fieldledger.
//
//     node use_sdk.mjs <folder of node_modules> <url> <token>
//
// Fails with an assertion where the SDK does not find what it should.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, url, token] = process.argv.slice(2);
const from = createRequire(pathToFileURL(`${folder}/`));
const { AuditService, PangeaConfig, PangeaErrors } = from("pangea-node-sdk");
const { createPrivateKey, createPublicKey, generateKeyPairSync, sign } = await import("node:crypto");

// The place of published roots is fixed in the SDK. The answers can be changed on their way.
const network = globalThis.fetch;
let tamper = null;
let asked = 0;
globalThis.fetch = async (resource, options) => {
  const address = String(resource);
  if (address.startsWith("https://arweave.net")) asked += 1;
  const response = await network(address.replace("https://arweave.net", `${url}/arweave`), options);
  if (!tamper || !address.endsWith(tamper.path)) return response;
  const body = await response.json();
  tamper.change(body);
  return new Response(JSON.stringify(body), { status: response.status, headers: response.headers });
};

const audit = () =>
  new AuditService(token, new PangeaConfig({ baseUrlTemplate: `${url}/{SERVICE_NAME}`, pollResultTimeoutMs: 120_000 }));

const until = async (what, found) => {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const answer = await found();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, `waited for this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

const { privateKey } = generateKeyPairSync("ed25519");
const signer = {
  sign: (data) => sign(null, Buffer.from(data), privateKey).toString("base64"),
  getPublicKey: () => createPublicKey(createPrivateKey(privateKey.export({ format: "pem", type: "pkcs8" })))
    .export({ format: "pem", type: "spki" }),
  getAlgorithm: () => "ED25519",
};

const client = audit();
const target = "node sdk";

const first = await client.log({ message: "Zoë \"opened\" <the door>", target }, { verify: true, signer });
assert.equal(first.result.membership_verification, "pass");
assert.equal(first.result.signature_verification, "pass");

const bulk = await client.logBulk(
  Array.from({ length: 25 }, (_, number) => ({ message: { number, of: ["many"] }, target })),
  { verbose: true, signer },
);
assert.equal(bulk.result.results.length, 25);
assert.ok(bulk.result.results.every((result) => result.signature_verification === "pass"));

const accepted = await client.logBulkAsync([{ message: "later", target }], { verbose: true });
assert.equal(accepted.status, "Accepted");
const later = await client.pollResult(accepted.request_id);
assert.equal(later.result.results[0].envelope.event.message, "later");

const restriction = { search_restriction: { target: [target] }, order: "asc", limit: 10 };
await until("all events are published", async () => {
  const found = await client.search("", { ...restriction, limit: 100 }, {});
  return found.result.count === 27 && found.result.events.every((event) => event.published);
});

const found = await client.search("", restriction, { verifyConsistency: true });
const verified = [...found.result.events];
for (const offset of [10, 20]) {
  const page = await client.results(found.result.id, 10, offset, { verifyConsistency: true });
  verified.push(...page.result.events);
}
assert.equal(verified.length, 27);
assert.ok(asked > 0, "published roots are asked for where they are published");
verified.forEach((event, position) => {
  assert.equal(event.membership_verification, "pass", `membership of ${position}`);
  assert.equal(event.consistency_verification, "pass", `consistency of ${position}`);
  assert.equal(event.signature_verification, position === 26 ? "none" : "pass", `signature of ${position}`);
});
assert.deepEqual(verified[3].envelope.event.message, { number: 2, of: ["many"] });

const newest = await client.root();
assert.ok(newest.result.data.size >= found.result.root.size);

const exported = await client.export({ format: "json" });
assert.equal(exported.status, "Accepted");
const ready = await client.pollResult(exported.request_id);
assert.ok(ready.success);
const offered = await client.downloadResults({ request_id: exported.request_id, format: "json" });
const file = await client.downloadFile(new URL(offered.result.dest_url));
const records = JSON.parse(Buffer.from(file.file).toString());
assert.equal(records.filter((record) => record.envelope.event.target === target).length, 27);

await assert.rejects(client.log({ message: "" }), PangeaErrors.ValidationError);
await assert.rejects(client.logBulk(Array(1001).fill({ message: "m" })), PangeaErrors.ValidationError);
await assert.rejects(
  new AuditService("pts_guessed", new PangeaConfig({ baseUrlTemplate: `${url}/{SERVICE_NAME}` })).search("", {}, {}),
  PangeaErrors.UnauthorizedError,
);

tamper = { path: "/v1/search", change: (body) => { body.result.events[1].envelope.event.actor = "forged"; } };
await assert.rejects(client.search("", restriction, {}), PangeaErrors.AuditEventError);
tamper = {
  path: "/v1/search",
  change: (body) => { body.result.events[1].membership_proof = body.result.events[2].membership_proof; },
};
const forged = await client.search("", restriction, { verifyConsistency: true });
assert.equal(forged.result.events[1].membership_verification, "fail");
assert.equal(forged.result.events[2].membership_verification, "pass");

console.log("node: all as it should be");
