// The state of the page in its address, so that a link leads to the same unit and view.

const NAMES = ["stage", "map", "row", "column"];

export function readState() {
  const read = new URLSearchParams(location.hash.slice(1));
  const whole = (name) => (/^\d{1,6}$/.test(read.get(name)) ? Number(read.get(name)) : undefined);
  const unit = Object.fromEntries(NAMES.map((name) => [name, whole(name)]));
  return { network: whole("network"), below: whole("below"), view: read.get("view"),
           unit: NAMES.every((name) => unit[name] !== undefined) ? unit : null };
}

export function writeState({ network, unit, below, view }) {
  const written = new URLSearchParams();
  for (const [name, value] of Object.entries({ network, ...unit, below, view })) {
    if (value !== undefined && value !== null) written.set(name, value);
  }
  history.replaceState(null, "", `#${written}`);
}
