/**
 * @typedef {object} Column
 * @property {string} title
 * @property {(row: any) => unknown} value what rows are sorted by; null stands last
 * @property {(row: any) => (string | Node)} [show] what is shown, the value where left out
 * @property {boolean} [numeric]
 */

/**
 * A table that is sorted by a press on a heading, and shows more rows on demand.
 * @param {object} given
 * @param {string} given.label
 * @param {Column[]} given.columns
 * @param {any[]} given.rows
 * @param {number} [given.sortedBy] column
 * @param {boolean} [given.descending]
 * @param {number} [given.page] rows that are shown at first
 * @param {(row: any) => boolean} [given.marked]
 */
function sortableTable({ label, columns, rows, sortedBy, descending = false, page = 60, marked }) {
  let shown = page;
  let order = rows.slice();
  const heads = columns.map((column, at) =>
    el("th", { scope: "col", class: column.numeric ? "n" : null },
      el("button", { type: "button", click: () => sort(at) }, column.title)),
  );
  const body = el("tbody");
  const status = el("p", { role: "status" });
  const more = action("Show more", () => { shown += 5 * page; render(); });

  function sort(at) {
    descending = sortedBy === at ? !descending : Boolean(columns[at].numeric);
    sortedBy = at;
    arrange();
  }

  function arrange() {
    order = rows.slice();
    if (sortedBy !== undefined) {
      const { value } = columns[sortedBy];
      const keyed = order.map((row) => [value(row), row]);
      const sign = descending ? -1 : 1;
      keyed.sort(([a], [b]) => (a == null ? (b == null ? 0 : 1) : b == null ? -1 : a < b ? -sign : a > b ? sign : 0));
      order = keyed.map(([, row]) => row);
    }
    heads.forEach((head, at) => {
      if (at === sortedBy) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    render();
  }

  function render() {
    body.replaceChildren(
      ...order.slice(0, shown).map((row) =>
        el("tr", { class: marked?.(row) ? "chosen" : null },
          ...columns.map((column, at) => {
            const content = column.show ? column.show(row) : String(column.value(row) ?? "");
            return at ? el("td", { class: column.numeric ? "n" : null }, content) : el("th", { scope: "row" }, content);
          })),
      ),
    );
    more.hidden = order.length <= shown;
    status.textContent = order.length > shown ? `${shown} of ${order.length.toLocaleString("en")} rows.` : "";
  }

  arrange();
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body);
  return {
    node: el("div", {}, el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, table), status, more),
    /** Other rows in the same order of sorting. */
    replace(others) { rows = others; shown = page; arrange(); },
    /** All rows as they are sorted. */
    rows: () => order,
  };
}
