const LIMITS = {
  ceiling: "an estimate of what any model could reach",
  floor: "what could be reached with all of a donor known is at least this",
};
const LEVELS = { gene_wise: "over donors, gene by gene", sample_wise: "over genes, sample by sample" };

/**
 * The view of all tissues.
 * @param {HTMLElement} place
 * @param {any} data
 * @param {Chooser} chooser
 */
function tissuesView(place, data, chooser) {
  let level = "gene_wise";
  const legend = el("div");
  const plot = el("div", { class: "plot" });
  const numbers = el("div");
  const names = Object.keys(LEVELS);
  const controls = el("div", { class: "controls" },
    choice("Correlation", names, names.map((name) => LEVELS[name]), level, (chosen) => { level = chosen; update(); }),
    action("Download this table (TSV)", save));
  place.append(controls, chooser.node(), legend, plot, numbers);
  let table = null;

  const cell = (model, at) => data.accuracy[level][model.name]?.[at] ?? [];
  const limit = (kind, at) => (level === "gene_wise" ? data.limits[kind]?.[at] ?? null : null);

  function update() {
    const models = chooser.shown();
    const kinds = level === "gene_wise" ? Object.keys(data.limits) : [];
    const rows = data.tissues.map((tissue, at) => ({ ...tissue, at }));
    const ranked = models.length ? rows.slice().sort((a, b) => (cell(models[0], b.at)[0] ?? -2) - (cell(models[0], a.at)[0] ?? -2)) : rows;
    legend.replaceChildren(key(models));
    if (kinds.length)
      legend.append(el("p", { class: "note" }, `Dashed: ${kinds.map((kind) => LIMITS[kind]).join("; ")}.`));
    dotPlot(plot, {
      label: `Accuracy of ${models.map((model) => model.title).join(", ")} in every tissue; the table below has the numbers`,
      models,
      rows: ranked.map((tissue) => ({
        ...tissue,
        limits: kinds.map((kind) => limit(kind, tissue.at)),
        marks: models.map((model) => {
          const [rho, low, high, nullLow, nullHigh] = cell(model, tissue.at);
          return { rho, low, high, null: [nullLow, nullHigh] };
        }),
      })),
    });
    const columns = [
      { title: "Tissue", value: (row) => row.name, show: (row) => el("a", { href: addressOf({ tissue: row.name }) }, row.name) },
      { title: "n", value: (row) => row.n, numeric: true },
      ...models.flatMap((model) => modelColumns(model)),
      ...kinds.map((kind) => ({ title: kind === "ceiling" ? "Ceiling" : "Ceiling at least", value: (row) => limit(kind, row.at), show: (row) => fixed(limit(kind, row.at)), numeric: true })),
    ];
    table = sortableTable({
      label: "Accuracy by tissue", columns, rows: ranked,
      sortedBy: models.length ? 2 : 0, descending: models.length > 0,
    });
    numbers.replaceChildren(table.node);
  }

  function modelColumns(model) {
    const columns = [
      { title: `${model.title}: ρ (95% interval)`, value: (row) => cell(model, row.at)[0], show: (row) => withInterval(...cell(model, row.at).slice(0, 3)), numeric: true },
      { title: "null", value: (row) => cell(model, row.at)[4], show: (row) => `${fixed(cell(model, row.at)[3])} to ${fixed(cell(model, row.at)[4])}`, numeric: true },
    ];
    if (level === "gene_wise")
      columns.push({ title: "predictable genes", value: (row) => cell(model, row.at)[5], show: (row) => `${cell(model, row.at)[5] ?? "–"} of ${cell(model, row.at)[6] ?? "–"}`, numeric: true });
    return columns;
  }

  function save() {
    const models = chooser.shown();
    const fields = ["rho", "ci_low", "ci_high", "null_low", "null_high", "n_predictable", "n_genes"].slice(0, level === "gene_wise" ? 7 : 5);
    const kinds = Object.keys(data.limits);
    download(`${data.cohort}.tissues.${level}.tsv`,
      ["tissue", "n_samples", ...kinds, ...models.flatMap((model) => fields.map((field) => `${model.name}_${field}`))],
      table.rows().map((row) => [row.name, row.n, ...kinds.map((kind) => limit(kind, row.at)),
        ...models.flatMap((model) => fields.map((_, at) => cell(model, row.at)[at]))]));
  }

  return { update };
}
