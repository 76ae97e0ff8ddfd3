// Tables that stand in the page: sorted by their headings, their methods filtered by name.
{
  const valueOf = (row, column) => {
    const cell = row.children[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const value = Number(number(text));
    return Number.isNaN(value) ? text : value;
  };

  function sort(table, heading) {
    const column = [...heading.parentNode.children].indexOf(heading);
    const now = heading.getAttribute("aria-sort");
    const first = heading.dataset.first ?? "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const next = now === first ? other : first;
    for (const each of table.querySelectorAll("thead th[aria-sort]")) each.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", next);
    const sign = next === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((one, another) => order(valueOf(one, column), valueOf(another, column), sign));
    table.tBodies[0].append(...rows);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const heading of table.querySelectorAll("thead th[aria-sort]")) {
      heading.firstElementChild.addEventListener("click", () => sort(table, heading));
    }
  }

  // Hide the rows that do not match; whether any is left.
  function filter(rows, matches) {
    for (const row of rows) row.hidden = !matches(row);
    return [...rows].some((row) => !row.hidden);
  }

  byId("filter-methods").addEventListener("input", (event) => {
    const rows = document.querySelectorAll("table.results tbody tr");
    const found = filter(rows, (row) => said(event.target.value, row.dataset.name));
    byId("filter-methods-none").textContent = found ? "" : "No method has that in its name.";
  });

  for (const input of document.querySelectorAll("input.filter-rows")) {
    const { rows } = input.closest(".titled").nextElementSibling.querySelector("table").tBodies[0];
    input.addEventListener("input", () => filter(rows, (row) => said(input.value, row.textContent)));
  }
}
