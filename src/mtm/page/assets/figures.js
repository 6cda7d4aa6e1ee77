/** The table of a figure, when it is asked for. */
function figureTables() {
  for (const details of document.querySelectorAll("details.numbers")) {
    const name = details.getAttribute("data-figure") ?? "";
    details.addEventListener("toggle", async () => {
      if (details.children.length > 1) return;
      const [header, ...rows] = (await textOf(`figure-${name}`)).trimEnd().split("\n").map((line) => line.split("\t"));
      const columns = header.map((title, at) => {
        const numeric = rows.every((row) => !row[at] || !Number.isNaN(Number(row[at])));
        return { title, numeric, value: (row) => (row[at] === "" ? null : numeric ? Number(row[at]) : row[at]), show: (row) => row[at] ?? "" };
      });
      const table = sortableTable({ label: `Table of ${name}`, columns, rows, page: 20 });
      details.append(action("Download (TSV, five digits)", () => download(`${name}.tsv`, header, table.rows())), table.node);
    });
  }
}
