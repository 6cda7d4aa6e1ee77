/**
 * How many letters differ, two neighbours swapped counting once; more than `most` is not counted out.
 * @param {string} a
 * @param {string} b
 * @param {number} most
 */
function editDistance(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before = [];
  let last = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2] + 1);
      row.push(cost);
      if (cost < least) least = cost;
    }
    if (least > most) return most + 1;
    before = last;
    last = row;
  }
  return last[b.length];
}

/** Finds genes by symbol or Ensembl id: whole, by their beginnings, by a part, with a typing error. */
class GeneSearch {
  /** @param {Genes} genes */
  constructor(genes) {
    this.symbols = genes.symbol.map((text) => text.toUpperCase());
    this.ids = genes.id.map((text) => text.toUpperCase());
    this.bySymbol = new Map();
    this.byId = new Map();
    for (let at = this.ids.length - 1; at >= 0; at--) {
      this.bySymbol.set(this.symbols[at], at);
      this.byId.set(this.ids[at].split(".")[0], at);
    }
    this.ids.forEach((id, at) => this.byId.set(id, at));
  }

  /** The gene of this very name; undefined where there is none. */
  exact(text) {
    const wanted = text.trim().toUpperCase();
    return this.byId.get(wanted) ?? this.bySymbol.get(wanted);
  }

  /**
   * Genes that fit what was typed, the best first.
   * @param {string} text
   * @returns {{gene: number, typo: boolean}[]}
   */
  find(text, limit = 12) {
    const wanted = text.trim().toUpperCase();
    if (!wanted) return [];
    const ranked = [];
    for (let gene = 0; gene < this.symbols.length; gene++) {
      const symbol = this.symbols[gene];
      const at = symbol.indexOf(wanted);
      if (at === 0) ranked.push([symbol.length === wanted.length ? 0 : 1, symbol.length, gene]);
      else if (this.ids[gene].startsWith(wanted)) ranked.push([2, this.ids[gene].length, gene]);
      else if (at > 0) ranked.push([3, symbol.length, gene]);
    }
    if (ranked.length < limit && wanted.length > 2) {
      const known = new Set(ranked.map((entry) => entry[2]));
      const most = wanted.length < 5 ? 1 : 2;
      for (let gene = 0; gene < this.symbols.length; gene++) {
        if (known.has(gene)) continue;
        const distance = editDistance(wanted, this.symbols[gene], most);
        if (distance <= most) ranked.push([3 + distance, this.symbols[gene].length, gene]);
      }
    }
    ranked.sort((a, b) => a[0] - b[0] || a[1] - b[1] || (this.symbols[a[2]] < this.symbols[b[2]] ? -1 : 1));
    return ranked.slice(0, limit).map(([rank, , gene]) => ({ gene, typo: rank > 3 }));
  }
}

/**
 * A box that offers genes while one types.
 * @param {GeneSearch} index
 * @param {Genes} genes
 * @param {(gene: number) => void} choose
 */
function searchBox(index, genes, choose) {
  let offered = [];
  let active = -1;
  const list = el("ul", { role: "listbox", id: "offered", "aria-label": "Genes", hidden: true });
  const status = el("div", { role: "status" });
  const input = el("input", {
    type: "search", id: "gene-search", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-controls": "offered", "aria-expanded": "false", "aria-autocomplete": "list",
    placeholder: "symbol or Ensembl id",
  });
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  };
  const take = (at) => {
    const gene = offered[at].gene;
    input.value = genes.symbol[gene];
    status.textContent = "";
    close();
    choose(gene);
  };
  const point = (at) => {
    active = at;
    [...list.children].forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
    if (at >= 0) {
      input.setAttribute("aria-activedescendant", `offer-${at}`);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };
  const offer = () => {
    offered = index.find(input.value);
    list.replaceChildren(
      ...offered.map(({ gene, typo }, at) =>
        el(
          "li",
          { role: "option", id: `offer-${at}`, "aria-selected": "false", mousedown: (event) => { event.preventDefault(); take(at); } },
          genes.symbol[gene], " ", el("span", {}, genes.id[gene] + (typo ? ", similar name" : "")),
        ),
      ),
    );
    const typed = input.value.trim();
    status.textContent = typed && !offered.length ? "No gene of this cohort has such a name." : "";
    list.hidden = !offered.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    point(-1);
  };
  input.addEventListener("input", offer);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) offer();
      if (!offered.length) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      point((active + step + offered.length + (active < 0 && step < 0 ? 1 : 0)) % offered.length);
    } else if (event.key === "Enter" && offered.length) take(Math.max(0, active));
    else if (event.key === "Escape") close();
  });
  const label = el("label", { for: "gene-search" }, "Gene");
  return { node: el("div", { class: "search" }, label, input, list, status), input };
}
