// The panel that shows an entry's proof and checks it here, in the browser.

import { get } from './api.js';
import { byId, element, setText, showError } from './dom.js';
import { verifyProof } from './verify.js';

const STEPS = { ok: ['good', '✓'], failed: ['bad', '✕'], unknown: ['warn', '?'] };
const VERDICTS = {
  verified: ['good', '✓ Verified: this entry is in the log, unchanged.'],
  failed: ['bad', '✕ NOT verified: this entry or its proof was changed.'],
  unknown: ['warn', '? NOT verified: this browser could not check all of it.'],
};

let latestRequest = 0;

export function startProof() {
  byId('proof-close').addEventListener('click', () => byId('proof').close());
}

export async function openProof(index) {
  latestRequest += 1;
  const request = latestRequest;
  setText(byId('proof-title'), `Proof of entry ${index}`);
  showError('proof-error', null);
  showVerdict('', 'Checking …');
  byId('proof-steps').replaceChildren();
  byId('proof-parts').replaceChildren();
  const dialog = byId('proof');
  if (!dialog.open) {
    dialog.showModal();
  }
  try {
    const proof = await get(`api/proof/${index}`);
    const { verdict, steps } = await verifyProof(proof, index);
    if (request !== latestRequest) {
      return;
    }
    showVerdict(...VERDICTS[verdict]);
    byId('proof-steps').replaceChildren(...steps.map(stepLine));
    byId('proof-parts').replaceChildren(...parts(proof));
  } catch (error) {
    if (request === latestRequest) {
      showVerdict('', '');
      showError('proof-error', new Error(`There is no proof to show: ${error.message}`));
    }
  }
}

function showVerdict(level, text) {
  const verdict = byId('proof-verdict');
  verdict.className = `verdict ${level}`;
  setText(verdict, text);
}

function stepLine({ name, state, detail }) {
  const [level, mark] = STEPS[state];
  return element(
    'li',
    {},
    element('span', { className: `mark ${level}` }, `${mark} ${name}`),
    ` – ${detail}`,
  );
}

function parts(proof) {
  return [
    ['Envelope (what was hashed)', proof.envelope],
    ['Leaf (version, envelope hash, index, received time)', proof.leaf],
    ['Audit path, leaf to root', proof.inclusion_proof.join('\n') || '(empty: the log has one entry)'],
    ['Signed checkpoint', proof.checkpoint],
    ['Verifier key: it came from this server, so compare it with the one you were given', proof.verifier_key],
  ].flatMap(([title, text]) => [element('h3', {}, title), element('pre', { tabIndex: 0 }, text)]);
}
