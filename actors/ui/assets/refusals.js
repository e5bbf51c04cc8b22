// The list of what was refused lately: heartbeats, answers without a number, messages of history.

import { get } from './api.js';
import { byId, element, foreign, setText, showError } from './dom.js';

const MOST_ROWS = 20;

let shown = '';

export async function refreshRefusals() {
  try {
    const { refusals } = await get(`api/refusals?limit=${MOST_ROWS}`);
    show(refusals);
    showError('refusals-error', null);
  } catch (error) {
    showError('refusals-error', new Error(`What was refused could not be read: ${error.message}`));
  }
}

function show(refusals) {
  const found = refusals.length;
  setText(byId('refusals-count'), found < MOST_ROWS ? String(found) : `${found} or more`);
  const text = JSON.stringify(refusals);
  if (text !== shown) {
    shown = text;
    byId('refusals-rows').replaceChildren(...refusals.map(row));
  }
}

function row(refusal) {
  const sensor = refusal.sensor || `nobody, on ${refusal.subject}`;
  return element(
    'tr',
    { title: `${refusal.subject}: ${refusal.excerpt}` },
    element('td', { className: 'words' }, refusal.last_at.slice(0, 19).replace('T', ' ')),
    element('td', { className: 'number' }, String(refusal.count)),
    element('td', { className: 'words' }, refusal.kind),
    element('td', { className: 'words wide' }, foreign(sensor)),
    element('td', { className: 'words' }, foreign(refusal.reason)),
  );
}
