// The entries of the log: the newest ones, kept fresh, or the result of a search, page by page.

import { post } from './api.js';
import { byId, element, foreign, setRows, setText, showError } from './dom.js';
import { formatName, formatTime, formatValue, qualityClass } from './format.js';

const PAGE = 25;
// A result is kept by the ledger for a while, and the page asks for one every few seconds.
const MOST_RESULTS = 1000;
const LONGEST_TEXT = 200;

let wanted = { query: '' };
let rows = new Map();
let result = null;
let offset = 0;
let latestRequest = 0;
let onOpen = () => {};

export function startLog(whenOpened) {
  onOpen = whenOpened;
  byId('search').addEventListener('submit', (event) => {
    event.preventDefault();
    wanted = { query: byId('search-query').value.trim() };
    for (const bound of ['start', 'end']) {
      const time = byId(`search-${bound}`).value.trim();
      if (time !== '') {
        wanted[bound] = time;
      }
    }
    newest();
  });
  byId('log-newest').addEventListener('click', newest);
  byId('log-older').addEventListener('click', older);
}

/** Older pages stay as they are: they are pages of a frozen result. */
export function refreshLog() {
  return offset === 0 ? newest() : Promise.resolve();
}

function newest() {
  const search = { ...wanted, limit: PAGE, max_results: MOST_RESULTS, order: 'desc' };
  return load(0, post('api/logs', search));
}

function older() {
  const next = offset + PAGE;
  return load(next, post('api/results', { id: result.id, offset: next, limit: PAGE }));
}

/** Shows the page once it is there, unless another was asked for meanwhile. */
async function load(wantedOffset, answer) {
  latestRequest += 1;
  const request = latestRequest;
  try {
    const page = (await answer).result;
    if (request !== latestRequest) {
      return;
    }
    result = page;
    offset = wantedOffset;
    showError('log-error', null);
    render();
  } catch (error) {
    if (request === latestRequest) {
      showError('log-error', new Error(`The log could not be searched: ${error.message}`));
    }
  }
}

function render() {
  const { events, count, total, root, indexed_size: indexed } = result;
  const kept = new Map(events.map((event) => [event.leaf_index, rows.get(event.leaf_index) ?? makeRow(event)]));
  rows = kept;
  setRows(byId('log-rows'), [...kept.values()]);
  const last = offset + events.length;
  const lag = root.size - indexed;
  const behind = lag > 0 ? ` The search index is ${lag} entries behind.` : '';
  const all = total > count ? `${total}, of which the newest ${count} can be seen here` : total;
  const shown = events.length > 0 ? `Entries ${offset + 1} to ${last} of ${all}.` : 'No entry matches.';
  setText(byId('log-note'), shown + behind);
  byId('log-newest').disabled = offset === 0;
  byId('log-older').disabled = last >= count || events.length === 0;
}

function makeRow(entry) {
  const event = entry.envelope?.event ?? {};
  const open = element('button', { type: 'button', className: 'link' }, `#${entry.leaf_index}`);
  open.setAttribute('aria-label', `Proof of entry ${entry.leaf_index}`);
  open.addEventListener('click', () => onOpen(entry.leaf_index));
  const received = entry.envelope?.received_at ?? '';
  const what = element('td', { className: 'words' });
  what.append(...describe(event));
  return element(
    'tr',
    {},
    element('td', { className: 'whole' }, open),
    element('td', { className: 'time', title: received }, formatTime(received)),
    element('td', { className: 'words' }, foreign(formatName(event.actor, event.source ?? '–'))),
    what,
    element('td', { className: 'whole wide' }, foreign(event.status ?? '–')),
  );
}

/** A reading in short; of any other event its action and message. */
function describe(event) {
  if (event.action === 'SENSOR_READING') {
    const reading = parse(event.message);
    if (reading && typeof reading.quality === 'string') {
      const quality = element('span', { className: qualityClass(reading.quality) }, reading.quality);
      return [foreign(formatReading(event.new, reading)), ' ', quality];
    }
  }
  const shown = shorten(event.message ?? '');
  return event.action ? [foreign(event.action), ': ', foreign(shown)] : [foreign(shown)];
}

/** The value; where there is none, what the device sent instead and why it will not do. */
function formatReading(value, reading) {
  if (value) {
    return formatValue(value, String(reading.unit ?? ''));
  }
  const raw = reading.raw === undefined ? [] : [`“${shorten(String(reading.raw))}”`];
  const reason = reading.reason === undefined ? [] : [shorten(String(reading.reason))];
  return [...raw, ...reason].join(': ') || '–';
}

function shorten(text) {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
