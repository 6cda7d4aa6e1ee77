async function main() {
  const data = await jsonOf("models");
  const chooser = new Chooser(data.models, data.first);
  const tissues = tissuesView(/** @type {any} */ (document.getElementById("tissues-body")), data, chooser);
  const genes = genesView(/** @type {any} */ (document.getElementById("genes-body")), data, chooser);
  let view = "";

  async function show() {
    const state = readAddress();
    const turned = view !== state.view;
    view = state.view;
    for (const name of VIEWS) {
      /** @type {HTMLElement} */ (document.getElementById(name)).hidden = name !== view;
      const link = document.querySelector(`header nav a[href="#${name}"]`);
      if (name === view) link?.setAttribute("aria-current", "page");
      else link?.removeAttribute("aria-current");
    }
    if (state.models) chooser.set(state.models);
    if (view === "tissues") tissues.update();
    if (view === "genes") await genes.show(state);
    if (state.figure) document.getElementById(state.figure)?.scrollIntoView();
    else if (turned) scrollTo(0, 0);
    document.documentElement.dataset.shown = location.hash || "#overview";
  }

  function redraw() {
    if (view === "tissues") tissues.update();
    else if (view === "genes") genes.redraw();
  }

  chooser.told.push(() => (view === "tissues" ? tissues.update() : genes.update()));
  figureTables();
  addEventListener("hashchange", show);
  dark.addEventListener("change", redraw);
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
  // On paper all views stand one after the other.
  addEventListener("beforeprint", () => { if (view !== "tissues") tissues.update(); });
  await show();
}

main();
