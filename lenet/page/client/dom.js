// Elements of the page, made in one expression.

// element("p", { class: "note", onclick: f }, "text", another)
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);

// A number with a real minus sign.
export function number(x, digits = 3) {
  const text = x.toFixed(digits);
  return Number(text) ? text.replace("-", "\u2212") : text.replace("-", "");
}

export const percent = (p) => `${(100 * p).toFixed(1)} %`;
