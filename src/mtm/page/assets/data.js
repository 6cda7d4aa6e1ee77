/** What the page holds, decoded when it is first asked for. */
const decoded = new Map();

/** @param {string} name */
function holds(name) {
  return document.getElementById(`data-${name}`) !== null;
}

/**
 * Bytes of a block.
 * @param {string} name
 * @returns {Promise<Uint8Array>}
 */
function bytesOf(name) {
  if (!decoded.has(name)) {
    const block = /** @type {HTMLElement} */ (document.getElementById(`data-${name}`));
    decoded.set(name, inflate(fromBase64(block.textContent ?? "")));
    block.remove();
  }
  return decoded.get(name);
}

/** @param {string} text */
function fromBase64(text) {
  if ("fromBase64" in Uint8Array) return /** @type {any} */ (Uint8Array).fromBase64(text);
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let at = 0; at < bytes.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @param {string} name */
async function textOf(name) {
  return new TextDecoder().decode(await bytesOf(name));
}

/** @param {string} name */
async function jsonOf(name) {
  return JSON.parse(await textOf(name));
}

const RELIABILITY = ["none", "low", "moderate", "high"];

/** Upper bound as far from rho as the lower one in Fisher's z, in hundredths; as mtm.page.genes has it. */
function mirrored(rho, low) {
  const inside = (value) => Math.atanh(Math.max(-99.9, Math.min(99.9, value)) / 100);
  return Math.floor(100 * Math.tanh(2 * inside(rho) - inside(low)) + 0.5);
}

/** Genes in tissues; what the planes of a model mean is said in mtm.page.genes. */
class Genes {
  constructor(index, nTissues) {
    /** @type {string[]} */
    this.id = index.id;
    /** @type {string[]} */
    this.symbol = index.symbol;
    this.conservation = index.conservation;
    this.connectivity = index.connectivity;
    this.nTissues = nTissues;
    this.planes = new Map();
    this.expression = null;
  }

  get length() {
    return this.id.length;
  }

  /** Decode the planes of some models, by their numbers. */
  async load(numbers) {
    if (holds("expression")) this.expression = await bytesOf("expression");
    await Promise.all([0, ...numbers].map((number) => this.loadModel(number)));
  }

  async loadModel(number) {
    if (this.planes.has(number)) return;
    const planes = {};
    for (const name of ["rho", "low", "high", "q", "class"]) {
      const stored = await bytesOf(`m${number}-${name}`);
      if (number && (name === "rho" || name === "low")) {
        const first = await bytesOf(`m0-${name}`);
        planes[name] = stored.map((value, at) => value + first[at]);
      } else planes[name] = stored;
    }
    planes.rho = new Int8Array(planes.rho.buffer);
    planes.high = new Int8Array(planes.high.buffer);
    this.planes.set(number, planes);
  }

  /** What a model tells of a gene in a tissue; `rho` is null where nothing is known. */
  cell(number, tissue, gene) {
    const planes = this.planes.get(number);
    const at = tissue * this.length + gene;
    const rho = planes.rho[at];
    if (rho === -128) return { rho: null, low: null, high: null, q: null, reliability: 0, predictable: false };
    const low = rho - planes.low[at] + 1;
    const known = planes.low[at] > 0;
    return {
      rho: rho / 100,
      low: known ? low / 100 : null,
      high: known ? (mirrored(rho, low) + planes.high[at]) / 100 : null,
      q: planes.q[at],
      reliability: planes.class[at] & 3,
      predictable: (planes.class[at] & 4) > 0,
    };
  }

  /** Mean log2(1+TPM) of a gene in a tissue. */
  level(tissue, gene) {
    const code = this.expression ? this.expression[tissue * this.length + gene] : 0;
    return code ? (code - 1) / 10 : null;
  }
}

/** A q value in words, from its code. */
function qText(code) {
  if (!code) return "–";
  if (code === 1) return "< 0.0001";
  const power = Math.floor((code - 2) / 9) - 4;
  const digit = ((code - 2) % 9) + 1;
  return power === 0 ? String(digit) : (digit * 10 ** power).toFixed(-power);
}
