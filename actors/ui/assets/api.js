// Calls to the gateway. A failure is an Error whose message a person can read.

const TIMEOUT_MS = 15_000;
let clockSkewMs = 0;

/** The gateway's clock: ages must not depend on the clock of the machine that shows the page. */
export function serverNow() {
  return Date.now() + clockSkewMs;
}

export function get(path) {
  return call(path, { headers: { accept: 'application/json' } });
}

export function post(path, body) {
  return call(path, {
    method: 'POST',
    headers: { accept: 'application/json', 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const reason = error.name === 'TimeoutError' ? `no answer within ${TIMEOUT_MS / 1000} s` : 'no connection';
    throw new Error(`${reason} to the gateway`);
  }
  const date = Date.parse(response.headers.get('date') ?? '');
  if (!Number.isNaN(date)) {
    const skew = date - Date.now();
    // The header has whole seconds; less than two is no skew that can be told.
    clockSkewMs = Math.abs(skew) < 2000 ? 0 : skew;
  }
  if (response.ok) {
    return response.json();
  }
  throw new Error(await problemText(response));
}

async function problemText(response) {
  try {
    const problem = await response.json();
    const fields = (problem.errors ?? []).map((error) => `${error.field}: ${error.problem}`);
    return [problem.detail ?? problem.title, ...fields].join('\n');
  } catch {
    return `the gateway answered ${response.status}`;
  }
}
