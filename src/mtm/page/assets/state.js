/** What is shown stands in the address: #tissues, #gene=TP53&tissue=Lung, #fig2a. */
const VIEWS = ["overview", "tissues", "genes", "figures"];

/** @returns {{view: string, figure: string | null, gene: string | null, tissue: string | null, models: string[] | null}} */
function readAddress() {
  const hash = location.hash.slice(1);
  const state = { view: "overview", figure: null, gene: null, tissue: null, models: null };
  if (VIEWS.includes(hash)) state.view = hash;
  else if (hash.includes("=")) {
    const given = new URLSearchParams(hash);
    state.gene = given.get("gene");
    state.tissue = given.get("tissue");
    state.models = given.get("models")?.split(",") ?? null;
    state.view = given.get("view") === "tissues" ? "tissues" : "genes";
  } else if (hash && document.getElementById(hash)?.matches(".figure")) {
    state.view = "figures";
    state.figure = hash;
  }
  return state;
}

/** Address of a gene, a tissue, or both. */
function addressOf(given) {
  const fields = Object.entries(given).filter(([, value]) => value);
  return `#${fields.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}
