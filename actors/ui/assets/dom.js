// The only place that makes elements. Text goes in as text nodes, never as markup: names of sensors
// come from whoever can reach the broker.

export function byId(id) {
  return document.getElementById(id);
}

/** An element with properties (`class` as `className`) and children, texts or elements. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Text of unknown writing direction, kept from disturbing what stands around it. */
export function foreign(text) {
  return element('bdi', {}, text);
}

export function setText(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** Shows an error above its section, or hides it where there is none. */
export function showError(id, error) {
  const place = byId(id);
  place.hidden = !error;
  setText(place, error ? error.message : '');
}

/** Puts these rows into the body, touching nothing where they are there already. */
export function setRows(body, rows) {
  const same = body.children.length === rows.length && rows.every((row, at) => body.children[at] === row);
  if (same) {
    return;
  }
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  body.replaceChildren(...rows);
  if (focused?.isConnected) {
    focused.focus({ preventScroll: true });
  }
}
