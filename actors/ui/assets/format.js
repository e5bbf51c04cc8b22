// Values, units, qualities and times, as a person reads them.

// UCUM codes that people write otherwise; any other code shows as it is.
const UNITS = { Cel: '°C', '[degF]': '°F', Ohm: 'Ω', um: 'µm', 1: '' };

/** A value with its unit. Values are texts, because a number of JavaScript does not hold every digit. */
export function formatValue(digits, unit) {
  if (digits === null || digits === undefined || digits === '') {
    return '–';
  }
  const shown = formatUnit(unit);
  return shown ? `${digits} ${shown}` : digits;
}

export function formatUnit(unit) {
  return UNITS[unit] ?? unit ?? '';
}

// White space, characters that are not shown, and the blank ones among the letters.
const BLANK = /^[\s\p{C}\u115f\u1160\u2800\u3164\uffa0\ufe00-\ufe0f]*$/u;

/** A name, or in place of a blank one the id. */
export function formatName(name, id) {
  return BLANK.test(name ?? '') ? `(${id})` : name;
}

/** How bad an OPC UA status code is, told by its name. */
export function qualityClass(quality) {
  if (quality.startsWith('Good')) {
    return 'good';
  }
  return quality.startsWith('Uncertain') ? 'warn' : 'bad';
}

const MARKS = { good: '●', warn: '▲', bad: '✕' };

/** A sign next to the colour, for those who do not see colours. */
export function marked(level, text) {
  return `${MARKS[level]} ${text}`;
}

export function formatAge(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) {
    return `${seconds} s`;
  }
  if (seconds < 7200) {
    return `${Math.floor(seconds / 60)} min`;
  }
  if (seconds < 172_800) {
    return `${Math.floor(seconds / 3600)} h`;
  }
  return `${Math.floor(seconds / 86_400)} d`;
}

/** Local time of day; with the date where that is not today's. */
export function formatTime(rfc3339) {
  const time = new Date(rfc3339);
  if (Number.isNaN(time.getTime())) {
    return '–';
  }
  const clock = time.toLocaleTimeString([], { hourCycle: 'h23' });
  const sameDay = time.toDateString() === new Date().toDateString();
  return sameDay ? clock : `${time.toLocaleDateString()} ${clock}`;
}
