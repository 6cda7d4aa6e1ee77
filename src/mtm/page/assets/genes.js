/**
 * The view of genes: one gene in all tissues, or the genes of one tissue.
 * @param {HTMLElement} place
 * @param {any} data
 * @param {Chooser} chooser
 */
function genesView(place, data, chooser) {
  /** @type {Genes} */
  let genes;
  /** @type {GeneSearch} */
  let index;
  let box;
  let opening = null;
  let state = { gene: null, tissue: null };
  const names = data.tissues.map((tissue) => tissue.name);
  const found = el("div");
  const controls = el("div", { class: "controls" });
  const reference = data.models.find((model) => model.name === data.reference && model.genes !== null);
  const told = data.models.filter((model) => model.genes !== null);

  /** Read the names of genes, once. */
  async function open() {
    genes = new Genes(await jsonOf("genes"), names.length);
    index = new GeneSearch(genes);
    box = searchBox(index, genes, (gene) => { location.hash = addressOf({ gene: nameOf(gene), tissue: state.tissue }); });
    controls.append(box.node, choice("Tissue", ["", ...names], ["all tissues", ...names], "", (tissue) => {
      location.hash = state.gene === null && !tissue ? "#genes" : addressOf({ gene: state.gene === null ? null : nameOf(state.gene), tissue });
    }));
    place.append(controls, chooser.node(true), found);
    if (told.length < data.models.length)
      place.append(el("p", { class: "note" }, `The page holds the genes of ${told.length} models: ${told.map((model) => model.title).join(", ")}. Those of the others are in intervals/genes.`));
  }

  /** A symbol where it names one gene, else the id. */
  function nameOf(gene) {
    return index.exact(genes.symbol[gene]) === gene ? genes.symbol[gene] : genes.id[gene];
  }

  async function show(given) {
    opening ??= open();
    await opening;
    const gene = given.gene === null ? null : index.exact(given.gene);
    state = { gene: gene ?? null, tissue: names.includes(given.tissue) ? given.tissue : null };
    controls.querySelector("select").value = state.tissue ?? "";
    if (gene !== undefined && gene !== null) box.input.value = genes.symbol[gene];
    if (given.gene !== null && gene === undefined) {
      const near = index.find(given.gene, 5).map((entry) => nameOf(entry.gene));
      found.replaceChildren(el("p", { role: "status" }, `No gene of this cohort is called ${given.gene}. `,
        ...near.flatMap((name) => [el("a", { href: addressOf({ gene: name, tissue: state.tissue }) }, name), " "])));
      return;
    }
    await update();
  }

  async function update() {
    if (!genes) return;
    const models = chooser.shown(true);
    await genes.load([...models, ...(reference ? [reference] : [])].map((model) => model.genes));
    if (state.gene !== null) found.replaceChildren(oneGene(models), ...(state.tissue ? [el("h3", {}, `Best told genes of ${state.tissue}`), geneList(models)] : []));
    else if (state.tissue) found.replaceChildren(el("h3", {}, `Genes of ${state.tissue}`), geneList(models));
    else found.replaceChildren(el("p", {}, `Search one of ${genes.length.toLocaleString("en")} genes, or choose a tissue for the list of its genes.`));
    draw();
  }

  let draw = () => {};

  /** What covariates tell of a gene in a tissue; null without a covariates-only model. */
  const alone = (tissue, gene) => (reference ? genes.cell(reference.genes, tissue, gene).rho : null);
  const beyond = (rho, tissue, gene) => {
    const other = alone(tissue, gene);
    return rho == null || other == null ? null : Math.round(100 * (rho - other)) / 100;
  };

  function oneGene(models) {
    const gene = state.gene;
    const rows = names.map((name, at) => ({ ...data.tissues[at], at, cells: models.map((model) => genes.cell(model.genes, at, gene)) }));
    rows.sort((a, b) => (b.cells[0]?.rho ?? -2) - (a.cells[0]?.rho ?? -2));
    const marked = (row) => row.name === state.tissue;
    const plot = el("div", { class: "plot" });
    draw = () => dotPlot(plot, {
      label: `${genes.symbol[gene]} in every tissue; the table below has the numbers`, models,
      rows: rows.map((row) => ({ ...row, chosen: marked(row), marks: row.cells })),
    });
    const columns = [
      { title: "Tissue", value: (row) => row.name, show: (row) => el("a", { href: addressOf({ gene: nameOf(gene), tissue: row.name }) }, row.name) },
      { title: "n", value: (row) => row.n, numeric: true },
      ...models.flatMap((model, number) => [
        { title: `${model.title}: ρ (95% interval)`, value: (row) => row.cells[number].rho, show: (row) => withInterval(row.cells[number].rho, row.cells[number].low, row.cells[number].high), numeric: true },
        { title: "q", value: (row) => row.cells[number].q || null, show: (row) => qText(row.cells[number].q), numeric: true },
        ...(reference && model !== reference ? [{ title: "beyond covariates", value: (row) => beyond(row.cells[number].rho, row.at, gene), show: (row) => fixed(beyond(row.cells[number].rho, row.at, gene)), numeric: true }] : []),
        ...(model !== reference ? [{ title: "reliability", value: (row) => row.cells[number].reliability, show: (row) => RELIABILITY[row.cells[number].reliability] }] : []),
      ]),
      ...(genes.expression ? [{ title: "Expression, log2(1+TPM)", value: (row) => genes.level(row.at, gene), show: (row) => fixed(genes.level(row.at, gene), 1), numeric: true }] : []),
    ];
    const table = sortableTable({ label: `${genes.symbol[gene]} by tissue`, columns, rows, sortedBy: models.length ? columns.findIndex((column) => column.title.includes("ρ")) : 0, descending: models.length > 0, marked });
    const facts = [["Ensembl id", genes.id[gene]]];
    if (genes.conservation) facts.push(["Conservation (mean PhastCons)", fixed(genes.conservation[gene])]);
    if (genes.connectivity) facts.push(["Partners in the protein network", genes.connectivity[gene] ?? "not in the network"]);
    const save = () => download(`${data.cohort}.${genes.symbol[gene]}.tsv`, HEADER,
      table.rows().flatMap((row) => models.map((model, number) => record(row.at, gene, model, row.cells[number]))));
    return el("div", {}, el("h3", { id: "gene-title" }, genes.symbol[gene]), verdict(models, gene),
      el("dl", { class: "facts" }, ...facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))),
      action("Download this table (TSV)", save), key(models), plot, table.node);
  }

  /** The answer in words, for the first of the models. */
  function verdict(models, gene) {
    const model = models[0];
    if (!model) return el("p", {}, "No model is chosen.");
    const { predictable_rho: rho, predictable_q: q } = data.thresholds;
    const rule = `ρ > ${rho} and q < ${q}`;
    if (state.tissue) {
      const at = names.indexOf(state.tissue);
      const cell = genes.cell(model.genes, at, gene);
      if (cell.rho === null) return el("p", {}, `In ${state.tissue}, ${genes.symbol[gene]} has no measured accuracy: hardly any held-out donor expresses it.`);
      const other = alone(at, gene);
      return el("p", {}, `In ${state.tissue}, ${model.title} ${cell.predictable ? "tells" : "does not tell"} ${genes.symbol[gene]} (${rule}): ρ ${withInterval(cell.rho, cell.low, cell.high)}, q ${qText(cell.q)}, reliability ${RELIABILITY[cell.reliability]}${other === null || model === reference ? "" : `; covariates alone ${fixed(other)}`}.`);
    }
    const n = names.filter((_, at) => genes.cell(model.genes, at, gene).predictable).length;
    return el("p", {}, `${model.title} tells ${genes.symbol[gene]} in ${n} of ${names.length} tissues (${rule}).`);
  }

  const HEADER = ["tissue", "gene_id", "symbol", "model", "n_samples", "rho", "ci_low", "ci_high", "q", "reliability", "predictable",
    "covariates_rho", "beyond_covariates", "mean_log2_tpm", "conservation", "partners"];

  function record(at, gene, model, cell) {
    return [names[at], genes.id[gene], genes.symbol[gene], model.name, data.tissues[at].n, cell.rho, cell.low, cell.high,
      qText(cell.q).replace("–", ""), RELIABILITY[cell.reliability], cell.predictable, alone(at, gene), beyond(cell.rho, at, gene),
      genes.level(at, gene), genes.conservation?.[gene], genes.connectivity?.[gene]];
  }

  let wanted = { text: "", class: "0" };

  function geneList(models) {
    const at = names.indexOf(state.tissue);
    if (state.gene === null) draw = () => {};
    const model = models[0];
    if (!model) return el("p", {}, "No model is chosen.");
    const every = genes.id.map((_, gene) => ({ gene, cell: genes.cell(model.genes, at, gene) }));
    const passes = ({ gene, cell }) =>
      (wanted.class === "told" ? cell.predictable : cell.reliability >= Number(wanted.class)) &&
      (!wanted.text || index.symbols[gene].includes(wanted.text) || index.ids[gene].startsWith(wanted.text));
    const others = models.slice(1);
    const columns = [
      { title: "Gene", value: ({ gene }) => genes.symbol[gene], show: ({ gene }) => el("a", { href: addressOf({ gene: nameOf(gene), tissue: state.tissue }) }, genes.symbol[gene]) },
      { title: `${model.title}: ρ (95% interval)`, value: ({ cell }) => cell.rho, show: ({ cell }) => withInterval(cell.rho, cell.low, cell.high), numeric: true },
      { title: "q", value: ({ cell }) => cell.q || null, show: ({ cell }) => qText(cell.q), numeric: true },
      { title: "reliability", value: ({ cell }) => cell.reliability, show: ({ cell }) => RELIABILITY[cell.reliability] },
      ...others.map((other) => ({ title: `${other.title}: ρ`, value: ({ gene }) => genes.cell(other.genes, at, gene).rho, show: ({ gene }) => fixed(genes.cell(other.genes, at, gene).rho), numeric: true })),
      ...(reference && model !== reference ? [{ title: "beyond covariates", value: ({ gene, cell }) => beyond(cell.rho, at, gene), show: ({ gene, cell }) => fixed(beyond(cell.rho, at, gene)), numeric: true }] : []),
      ...(genes.expression ? [{ title: "log2(1+TPM)", value: ({ gene }) => genes.level(at, gene), show: ({ gene }) => fixed(genes.level(at, gene), 1), numeric: true }] : []),
      ...(genes.conservation ? [{ title: "conservation", value: ({ gene }) => genes.conservation[gene], show: ({ gene }) => fixed(genes.conservation[gene]), numeric: true }] : []),
      ...(genes.connectivity ? [{ title: "partners", value: ({ gene }) => genes.connectivity[gene], show: ({ gene }) => String(genes.connectivity[gene] ?? "–"), numeric: true }] : []),
      { title: "Ensembl id", value: ({ gene }) => genes.id[gene] },
    ];
    const table = sortableTable({ label: `Genes of ${state.tissue}`, columns, rows: every.filter(passes), sortedBy: 1, descending: true, marked: ({ gene }) => gene === state.gene });
    const size = el("p", { role: "status" });
    const filter = () => {
      table.replace(every.filter(passes));
      size.textContent = `${table.rows().length.toLocaleString("en")} genes.`;
    };
    const text = el("input", { type: "search", value: wanted.text, input: () => { wanted.text = text.value.trim().toUpperCase(); filter(); } });
    size.textContent = `${table.rows().length.toLocaleString("en")} genes.`;
    return el("div", {}, el("div", { class: "controls" },
      el("label", {}, "Name has", text),
      choice("Told how well", ["0", "told", "1", "2", "3"], ["any", "predictable", "reliability low or better", "moderate or better", "high"], wanted.class, (chosen) => { wanted.class = chosen; filter(); }),
      action("Download these genes (TSV)", () => download(`${data.cohort}.${state.tissue}.${model.name}.tsv`, HEADER,
        table.rows().map(({ gene, cell }) => record(at, gene, model, cell))))), size, table.node);
  }

  return { show, update, redraw: () => draw() };
}
