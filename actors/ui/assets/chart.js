// The readings of the chosen sensor over time, as a line; summed-up readings also as a band.

import { get } from './api.js';
import { byId, element, setText, showError } from './dom.js';
import { formatAge, formatName, formatTime, formatUnit, formatValue } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const [WIDTH, HEIGHT, MARGIN] = [1000, 300, 14];
const MOST_POINTS = 500;
// So many polls without a result are an outage, not a late answer.
const OUTAGE_POLLS = 2.5;

let sensor = null;
let latestRequest = 0;

export function startChart() {
  byId('chart-span').addEventListener('change', refreshChart);
}

export function chooseSensor(chosen) {
  sensor = chosen;
  setText(byId('chart-title'), `Readings of ${formatName(chosen.alias, chosen.id)}`);
  byId('chart').replaceChildren();
  setText(byId('chart-note'), 'Loading …');
  byId('chart-title').scrollIntoView({ block: 'nearest' });
  return refreshChart();
}

export async function refreshChart() {
  if (!sensor) {
    return;
  }
  latestRequest += 1;
  const request = latestRequest;
  const span = byId('chart-span').value;
  try {
    const query = new URLSearchParams({ sensor: sensor.id, from: span, limit: MOST_POINTS });
    const series = await get(`api/readings?${query}`);
    if (request === latestRequest) {
      draw(series);
      showError('chart-error', null);
    }
  } catch (error) {
    if (request === latestRequest) {
      showError('chart-error', new Error(`The readings could not be read: ${error.message}`));
    }
  }
}

/** Readings and buckets alike: a span of time, values as numbers to draw and as digits to show. */
function toPoints(series) {
  if (series.buckets) {
    return series.buckets.map((bucket) => ({
      start: Date.parse(bucket.start),
      end: Date.parse(bucket.end),
      unit: bucket.unit,
      value: bucket.mean,
      low: bucket.min,
      high: bucket.max,
      digits: bucket.digits,
      count: bucket.count,
      uncertain: bucket.uncertain,
      bad: bucket.bad,
    }));
  }
  return series.readings.map((reading) => ({
    start: Date.parse(reading.polled_at),
    end: Date.parse(reading.polled_at),
    unit: reading.unit,
    value: reading.value,
    low: reading.value,
    high: reading.value,
    digits: { min: reading.digits, max: reading.digits, last: reading.digits },
    count: 1,
    uncertain: reading.quality.startsWith('Uncertain') ? 1 : 0,
    bad: reading.value === null ? 1 : 0,
  }));
}

function draw(series) {
  const points = toPoints(series);
  if (points.length === 0) {
    byId('chart').replaceChildren();
    setText(byId('chart-note'), 'No readings in this span.');
    return;
  }
  const all = points.filter((point) => point.value !== null);
  // Values in different units have no common scale: those in the newest one are drawn.
  const unit = all.at(-1)?.unit ?? sensor.unit;
  const valued = all.filter((point) => point.unit === unit);
  const lowest = valued.reduce((one, other) => (other.low < one.low ? other : one), valued[0]);
  const highest = valued.reduce((one, other) => (other.high > one.high ? other : one), valued[0]);
  setText(byId('chart-note'), describe(points, valued, { lowest, highest, unit }, Boolean(series.buckets)));

  const start = Math.min(Date.parse(series.from), points[0].start);
  const end = Math.max(Date.parse(series.to), points.at(-1).end);
  const x = (point) => ((((point.start + point.end) / 2 - start) / (end - start || 1)) * WIDTH).toFixed(1);
  const y = (value) => {
    const share = highest.high > lowest.low ? (value - lowest.low) / (highest.high - lowest.low) : 0.5;
    return (HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)).toFixed(1);
  };
  const picture = shape('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  for (const run of unbroken(points, unit)) {
    const line = run.map((point) => `${x(point)},${y(point.value)}`);
    if (series.buckets && run.length > 1) {
      const above = run.map((point) => `${x(point)},${y(point.high)}`);
      const below = run.map((point) => `${x(point)},${y(point.low)}`).reverse();
      picture.append(shape('polygon', { points: [...above, ...below].join(' ') }));
    }
    if (run.length > 1) {
      picture.append(shape('polyline', { points: line.join(' ') }));
    } else {
      const [at, height] = [x(run[0]), y(run[0].value)];
      picture.append(shape('line', { class: 'dot', x1: at, x2: at, y1: height, y2: height }));
    }
  }
  for (const point of points) {
    const mark = point.bad > 0 ? 'miss' : point.uncertain > 0 ? 'doubt' : null;
    if (mark) {
      picture.append(shape('line', { class: mark, x1: x(point), x2: x(point), y1: HEIGHT - MARGIN, y2: HEIGHT }));
    }
  }

  const scale = element('div', { className: 'scale' });
  if (valued.length > 0) {
    scale.append(element('span', {}, highest.digits.max), element('span', {}, lowest.digits.min));
  }
  const times = element(
    'div',
    { className: 'times' },
    element('span', {}, formatTime(series.from)),
    element('span', {}, formatTime(series.to)),
  );
  byId('chart').replaceChildren(element('div', { className: 'plot' }, scale, picture, times));
}

/** The picture in words, for everyone: what is left out and what is doubtful, too. */
function describe(points, valued, { lowest, highest, unit }, summedUp) {
  const total = (of, member) => of.reduce((sum, point) => sum + point[member], 0);
  const parts = [`${total(points, 'count')} readings`];
  const bad = total(points, 'bad');
  if (bad > 0) {
    parts.push(`${bad} of them without a value, and left out (red)`);
  }
  const uncertain = total(points, 'uncertain');
  if (uncertain > 0) {
    parts.push(`${uncertain} of them uncertain, and counted (amber)`);
  }
  const others = new Set(points.filter((point) => point.value !== null && point.unit !== unit).map((point) => point.unit));
  if (others.size > 0) {
    const names = [...others].map((other) => formatUnit(other) || 'no unit');
    parts.push(`the unit changed: those in ${names.join(', ')} are not drawn`);
  }
  if (valued.length > 0) {
    const shown = [lowest.digits.min, highest.digits.max, valued.at(-1).digits.last];
    const [low, high, last] = shown.map((digits) => formatValue(digits, unit));
    parts.push(`lowest ${low}, highest ${high}, last ${last}`);
  }
  if (summedUp) {
    const width = formatAge(points[0].end - points[0].start);
    parts.push(`shown as means of ${width}, with lowest and highest`);
  }
  return `${parts.join('; ')}.`;
}

/** Runs of points that follow each other: no line leads across an outage or a change of the unit. */
function unbroken(points, unit) {
  const longest = longestStep(points);
  const runs = [[]];
  let before = null;
  for (const point of points) {
    const joins = before !== null && point.start - before.start <= longest;
    if (point.value === null || point.unit !== unit) {
      // A span of time can have a bucket for each unit; a single reading has one.
      if (point.value === null || point.start === point.end) {
        before = null;
      }
      continue;
    }
    if (!joins) {
      runs.push([]);
    }
    runs.at(-1).push(point);
    before = point;
  }
  return runs.filter((run) => run.length > 0);
}

/** The longest time between two points that is no outage, by how often the sensor is polled. */
function longestStep(points) {
  const steps = points.slice(1).map((point, at) => point.start - points[at].start);
  steps.sort((one, other) => one - other);
  const usual = steps[Math.floor(steps.length / 2)] ?? 0;
  const width = points[0].end - points[0].start;
  const step = Math.max(sensor.poll_interval_ms ?? 0, usual);
  // A span that is longer than a step always has a reading.
  return step <= width ? 1.5 * width : OUTAGE_POLLS * step;
}

function shape(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  return made;
}
