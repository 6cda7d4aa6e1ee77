/**
 * An element. Children are nodes or text, and text is never read as HTML.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/**
 * An element of a drawing.
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined)} children
 * @returns {any}
 */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, String(value));
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** A number with so many decimals, a dash where there is none. */
function fixed(value, digits = 2) {
  if (value == null || Number.isNaN(value)) return "–";
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace("-", "") : text).replace("-", "−");
}

/** A value with its interval, as "0.39 (0.11 to 0.62)". */
function withInterval(value, low, high) {
  return value == null ? "–" : `${fixed(value)}${low == null ? "" : ` (${fixed(low)} to ${fixed(high)})`}`;
}

/**
 * Hand a table over as a file of tab-separated text.
 * @param {string} name
 * @param {string[]} header
 * @param {unknown[][]} rows
 */
function download(name, header, rows) {
  const line = (fields) => fields.map((field) => (field == null ? "" : String(field))).join("\t");
  const text = [header, ...rows].map(line).join("\n") + "\n";
  const address = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  const link = el("a", { href: address, download: name.replace(/[^\w.-]+/g, "_") });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 1000);
}

/** A button. */
function action(text, press) {
  return el("button", { type: "button", class: "action", click: press }, text);
}

/** A labelled choice; values and texts in one order. */
function choice(text, values, texts, chosen, change) {
  const options = values.map((value, at) => el("option", { value, selected: value === chosen }, texts[at]));
  const select = el("select", { change: () => change(select.value) }, ...options);
  return el("label", {}, text, select);
}
