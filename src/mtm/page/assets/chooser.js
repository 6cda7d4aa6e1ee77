/** Which models are shown, in tissues and genes alike. */
class Chooser {
  /**
   * @param {any[]} models
   * @param {string[]} first names of those that are shown until others are chosen
   */
  constructor(models, first) {
    this.models = models;
    this.first = first;
    this.chosen = new Set(first);
    /** @type {(() => void)[]} */
    this.told = [];
    /** @type {HTMLElement[]} */
    this.boxes = [];
  }

  /** Models that are shown; those whose genes the page holds alone, if asked so. */
  shown(withGenes = false) {
    return this.models.filter((model) => this.chosen.has(model.name) && (!withGenes || model.genes !== null));
  }

  /** Show these models, as far as there are such. */
  set(names) {
    const known = names.filter((name) => this.models.some((model) => model.name === name));
    this.chosen = new Set(known.length ? known : this.first);
    for (const box of this.boxes) this.fill(box);
  }

  /** Boxes to tick. */
  node(withGenes = false) {
    const box = el("fieldset", { class: "models", "data-genes": withGenes });
    this.boxes.push(box);
    this.fill(box);
    return el("details", { class: "chooser" }, el("summary", {}, "Models shown"), box);
  }

  fill(box) {
    const offered = this.models.filter((model) => !box.hasAttribute("data-genes") || model.genes !== null);
    box.replaceChildren(
      el("legend", { class: "note" }, "Most accurate first"),
      ...offered.map((model) => {
        const tick = el("input", {
          type: "checkbox", checked: this.chosen.has(model.name),
          change: () => {
            tick.checked ? this.chosen.add(model.name) : this.chosen.delete(model.name);
            for (const other of this.boxes) if (other !== box) this.fill(other);
            for (const tell of this.told) tell();
          },
        });
        return el("label", {}, tick, swatch(model), `${model.title} (sees ${model.sees})`);
      }),
    );
  }
}
