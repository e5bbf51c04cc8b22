// `node --test actors/ui/tests/verify.test.mjs` (Node 20 or newer, nothing to install): the check that the page
// runs accepts what is right and nothing else. The proofs are made here, straight from RFC 6962's
// recursive definitions, and share nothing with verify.js.

import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const source = readFileSync(new URL('../assets/verify.js', import.meta.url), 'utf8');
const { verifyProof } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();
const base64 = (bytes) => Buffer.from(bytes).toString('base64');

const NAME = 'fieldledger/test';
const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const typedKey = Buffer.concat([Buffer.of(1), Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url')]);
const keyHash = sha256(`${NAME}\n`, typedKey).subarray(0, 4);
const VERIFIER_KEY = `${NAME}+${keyHash.toString('hex')}+${base64(typedKey)}`;

function makeEntry(index) {
  const envelope = JSON.stringify({ event: { message: `entry ${index} é` }, received_at: '2026-01-02T03:04:05.000006Z', salt: 's' });
  const leaf = Buffer.alloc(49);
  leaf[0] = 1;
  sha256(envelope).copy(leaf, 1);
  leaf.writeBigUInt64BE(BigInt(index), 33);
  leaf.writeBigUInt64BE(1_767_323_045_000_006n, 41);
  return { envelope, leaf };
}

const split = (count) => 2 ** (Math.ceil(Math.log2(count)) - 1);

function rootOf(hashes) {
  if (hashes.length === 1) {
    return hashes[0];
  }
  const at = split(hashes.length);
  return sha256([1], rootOf(hashes.slice(0, at)), rootOf(hashes.slice(at)));
}

function pathOf(index, hashes) {
  if (hashes.length === 1) {
    return [];
  }
  const at = split(hashes.length);
  return index < at
    ? [...pathOf(index, hashes.slice(0, at)), rootOf(hashes.slice(at))]
    : [...pathOf(index - at, hashes.slice(at)), rootOf(hashes.slice(0, at))];
}

function signedNote(text) {
  const signature = sign(null, Buffer.from(text), privateKey);
  return `${text}\n— ${NAME} ${base64(Buffer.concat([keyHash, signature]))}\n`;
}

function makeProof(index, size) {
  const entries = Array.from({ length: size }, (_, at) => makeEntry(at));
  const hashes = entries.map(({ leaf }) => sha256([0], leaf));
  const { envelope, leaf } = entries[index];
  return {
    index,
    tree_size: size,
    leaf: base64(leaf),
    envelope,
    envelope_hash: base64(sha256(envelope)),
    inclusion_proof: pathOf(index, hashes).map(base64),
    checkpoint: signedNote(`${NAME}\n${size}\n${base64(rootOf(hashes))}\n`),
    verifier_key: VERIFIER_KEY,
  };
}

const failedSteps = (result) => result.steps.filter((step) => step.state === 'failed').map((step) => step.name);

test('every entry of trees of 1 to 20 entries is verified', async () => {
  for (let size = 1; size <= 20; size += 1) {
    for (let index = 0; index < size; index += 1) {
      const result = await verifyProof(makeProof(index, size), index);
      assert.equal(result.verdict, 'verified', `${index} of ${size}: ${JSON.stringify(result.steps)}`);
      assert.equal(result.steps.length, 4);
    }
  }
});

test('a changed part makes its step fail', async () => {
  const good = makeProof(5, 13);
  const other = makeProof(6, 13);
  const smaller = makeProof(5, 12);
  const flipped = (text) => base64(Buffer.from(text, 'base64').map((byte, at) => (at === 40 ? byte ^ 1 : byte)));
  const changes = [
    [{ envelope: good.envelope.replace('entry 5', 'entry 6') }, ['Envelope']],
    [{ envelope: good.envelope.replace('000006Z', '000007Z') }, ['Envelope', 'Leaf']],
    [{ envelope: 'null' }, ['Envelope', 'Leaf']],
    [{ envelope_hash: other.envelope_hash }, ['Envelope']],
    [{ leaf: flipped(good.leaf) }, ['Leaf', 'Audit path']],
    [{ leaf: '' }, ['Envelope', 'Leaf', 'Audit path']],
    [{ leaf: '!' }, ['Envelope', 'Leaf', 'Audit path']],
    [{ inclusion_proof: other.inclusion_proof }, ['Audit path']],
    [{ inclusion_proof: good.inclusion_proof.slice(1) }, ['Audit path']],
    [{ inclusion_proof: [...good.inclusion_proof, good.inclusion_proof[0]] }, ['Audit path']],
    [{ inclusion_proof: good.inclusion_proof.toReversed() }, ['Audit path']],
    [{ inclusion_proof: [] }, ['Audit path']],
    [{ tree_size: 12 }, ['Audit path']],
    [{ checkpoint: smaller.checkpoint, tree_size: 12 }, ['Audit path']],
    [{ checkpoint: good.checkpoint.replace('\n13\n', '\n14\n'), tree_size: 14 }, ['Signature']],
    [{ checkpoint: good.checkpoint.replace('—', '-') }, ['Audit path', 'Signature']],
    [{ checkpoint: good.checkpoint.split('\n\n')[0] }, ['Audit path', 'Signature']],
    [{ checkpoint: '' }, ['Audit path', 'Signature']],
    [{ verifier_key: VERIFIER_KEY.replace('test+', 'rest+') }, ['Signature']],
    [{ verifier_key: 'nonsense' }, ['Signature']],
  ];
  for (const [change, expected] of changes) {
    const result = await verifyProof({ ...good, ...change }, 5);
    assert.equal(result.verdict, 'failed', JSON.stringify(change));
    assert.deepEqual(failedSteps(result).filter((name) => expected.includes(name)), expected, JSON.stringify({ change, result }));
  }
});

test('a valid proof of another entry is no proof of the one asked for', async () => {
  const result = await verifyProof(makeProof(5, 13), 6);
  assert.equal(result.verdict, 'failed');
});

test('a browser that cannot check says so instead of saying yes', async () => {
  const proof = makeProof(5, 13);
  assert.equal((await verifyProof(proof, 5, null)).verdict, 'unknown');
  const { subtle } = globalThis.crypto;
  const withoutEd25519 = {
    digest: subtle.digest.bind(subtle),
    importKey: () => Promise.reject(new DOMException('no such algorithm', 'NotSupportedError')),
  };
  const result = await verifyProof(proof, 5, withoutEd25519);
  assert.equal(result.verdict, 'unknown');
  assert.deepEqual(result.steps.map((step) => step.state), ['ok', 'ok', 'ok', 'unknown']);
});
