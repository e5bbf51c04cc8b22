// Checks that an entry is in the log, with nothing but its proof: RFC 6962 hashes and a signed
// checkpoint (C2SP signed-note). Shares no code with the server that made the proof.

const LEAF_BYTES = 49;
const LEAF_VERSION = 1;
const ED25519 = 1;
const encoder = new TextEncoder();

/**
 * Checks the answer of /api/proof/{entry} for the entry asked for.
 *
 * Gives steps of {name, state: 'ok' | 'failed' | 'unknown', detail} and a verdict: 'verified' where
 * every step is ok, 'failed' where one failed, 'unknown' where one could not be checked here.
 */
export async function verifyProof(proof, wantedIndex, subtle = globalThis.crypto?.subtle) {
  if (!subtle) {
    const detail = 'the browser offers no cryptography on this connection: use https, or http on localhost';
    return { verdict: 'unknown', steps: [{ name: 'Cryptography', state: 'unknown', detail }] };
  }
  const steps = [];
  const context = { proof, wantedIndex: BigInt(wantedIndex), hash: hasher(subtle), subtle };
  for (const [name, check] of CHECKS) {
    steps.push(await step(name, () => check(context)));
  }
  const states = steps.map((each) => each.state);
  const worst = states.includes('failed') ? 'failed' : states.includes('unknown') ? 'unknown' : 'verified';
  return { verdict: worst, steps };
}

const CHECKS = [
  ['Envelope', checkEnvelope],
  ['Leaf', checkLeaf],
  ['Audit path', checkPath],
  ['Signature', checkSignature],
];

class NotCheckable extends Error {}

async function step(name, check) {
  try {
    return { name, state: 'ok', detail: await check() };
  } catch (error) {
    return { name, state: error instanceof NotCheckable ? 'unknown' : 'failed', detail: error.message };
  }
}

function require(condition, otherwise) {
  if (!condition) {
    throw new Error(otherwise);
  }
}

async function checkEnvelope({ proof, hash }) {
  const computed = await hash(encoder.encode(proof.envelope));
  require(sameBytes(computed, fromBase64(proof.envelope_hash)), 'the SHA-256 of the envelope is not the one given');
  const leaf = fromBase64(proof.leaf);
  require(sameBytes(computed, leaf.slice(1, 33)), 'the SHA-256 of the envelope is not the one in the leaf');
  return `SHA-256 of the ${encoder.encode(proof.envelope).length} bytes is ${toHex(computed)}, as in the leaf`;
}

async function checkLeaf({ proof, wantedIndex }) {
  const leaf = fromBase64(proof.leaf);
  require(leaf.length === LEAF_BYTES, `the leaf has ${leaf.length} bytes, not ${LEAF_BYTES}`);
  require(leaf[0] === LEAF_VERSION, `the leaf has version ${leaf[0]}, not ${LEAF_VERSION}`);
  const view = new DataView(leaf.buffer);
  const index = view.getBigUint64(33);
  require(index === wantedIndex, `the leaf is entry ${index}, not ${wantedIndex}`);
  require(BigInt(proof.index) === wantedIndex, `the proof is for entry ${proof.index}, not ${wantedIndex}`);
  const receivedAt = JSON.parse(proof.envelope).received_at;
  require(view.getBigUint64(41) === microseconds(receivedAt), 'the leaf and the envelope have different times');
  return `is entry ${index}, received ${receivedAt}`;
}

async function checkPath({ proof, wantedIndex, hash }) {
  const { size, root } = parseCheckpoint(proof.checkpoint);
  require(BigInt(proof.tree_size) === size, `the proof is for ${proof.tree_size} entries, the checkpoint for ${size}`);
  require(wantedIndex < size, `the checkpoint covers ${size} entries, which leaves entry ${wantedIndex} out`);
  const path = proof.inclusion_proof.map(fromBase64);
  const computed = await rootFromPath(hash, fromBase64(proof.leaf), wantedIndex, size, path);
  require(sameBytes(computed, root), 'the path does not lead to the root of the checkpoint');
  return `${path.length} hashes lead to the root of the checkpoint, ${toHex(root)}`;
}

/** RFC 9162, 2.1.3.2. */
async function rootFromPath(hash, leaf, index, size, path) {
  let node = index;
  let lastNode = size - 1n;
  let result = await hash(Uint8Array.of(0), leaf);
  for (const sibling of path) {
    require(lastNode !== 0n, 'the path is too long');
    require(sibling.length === 32, 'the path has an item that is no SHA-256');
    if (node % 2n === 1n || node === lastNode) {
      result = await hash(Uint8Array.of(1), sibling, result);
      while (node % 2n === 0n && node !== 0n) {
        node /= 2n;
        lastNode /= 2n;
      }
    } else {
      result = await hash(Uint8Array.of(1), result, sibling);
    }
    node /= 2n;
    lastNode /= 2n;
  }
  require(lastNode === 0n, 'the path is too short');
  return result;
}

async function checkSignature({ proof, hash, subtle }) {
  const key = parseVerifierKey(proof.verifier_key);
  const keyHash = (await hash(encoder.encode(`${key.name}\n`), key.typed)).slice(0, 4);
  require(sameBytes(keyHash, key.hash), 'the verifier key contradicts its own hash');
  require(key.typed[0] === ED25519 && key.typed.length === 33, 'the verifier key is no Ed25519 key');
  const { text, signatures } = parseNote(proof.checkpoint);
  const mine = signatures.find((each) => each.name === key.name && sameBytes(each.hash, key.hash));
  require(mine, `the checkpoint has no signature by ${key.name}`);
  let publicKey;
  try {
    publicKey = await subtle.importKey('raw', key.typed.slice(1), { name: 'Ed25519' }, false, ['verify']);
  } catch (error) {
    throw new NotCheckable(`this browser cannot check Ed25519 signatures (${error.name})`);
  }
  const valid = await subtle.verify({ name: 'Ed25519' }, publicKey, mine.signature, encoder.encode(text));
  require(valid, `the signature by ${key.name} is not valid`);
  return `the checkpoint is signed by ${key.name}`;
}

function parseNote(note) {
  const end = note.lastIndexOf('\n\n');
  require(end >= 0 && note.endsWith('\n'), 'the checkpoint is no signed note');
  const signatures = note.slice(end + 2, -1).split('\n').map((line) => {
    const [dash, name, value, ...rest] = line.split(' ');
    require(dash === '—' && value && rest.length === 0, 'the checkpoint has a malformed signature line');
    const bytes = fromBase64(value);
    return { name, hash: bytes.slice(0, 4), signature: bytes.slice(4) };
  });
  return { text: note.slice(0, end + 1), signatures };
}

function parseCheckpoint(note) {
  const [, size, root] = parseNote(note).text.split('\n');
  require(/^(0|[1-9][0-9]{0,19})$/.test(size ?? ''), 'the checkpoint has no size');
  const bytes = fromBase64(root ?? '');
  require(bytes.length === 32, 'the checkpoint has no root hash');
  return { size: BigInt(size), root: bytes };
}

/** `name+hash+base64`: the base64 may have a plus of its own. */
function parseVerifierKey(text) {
  const parts = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  require(parts, 'the verifier key is not name+hash+key');
  const hash = Uint8Array.from(parts[2].match(/../g), (digits) => Number.parseInt(digits, 16));
  return { name: parts[1], hash, typed: fromBase64(parts[3]) };
}

function microseconds(rfc3339) {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{6})Z$/.exec(rfc3339);
  require(parts, 'the envelope has no received_at of six fractional digits');
  return BigInt(Date.parse(`${parts[1]}Z`)) * 1000n + BigInt(parts[2]);
}

function hasher(subtle) {
  return async (...parts) => {
    const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(part, at);
      at += part.length;
    }
    return new Uint8Array(await subtle.digest('SHA-256', joined));
  };
}

function fromBase64(text) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    throw new Error('the proof has a text that is not base64');
  }
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function sameBytes(one, other) {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
