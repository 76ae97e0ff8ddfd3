// Tables whose rows Python wrote: sorted by their headings, and filtered by a text.
import { byId } from "./elements.js";
import { compare, contains, fromStored } from "./values.js";

/**
 * Return what a row is sorted by: the number or the text of a cell, or null when it is empty.
 * @param {HTMLTableRowElement} row
 * @param {number} column
 * @returns {number | string | null}
 */
function keyOf(row, column) {
  const cell = row.cells[column];
  const text = cell.dataset.value ?? cell.textContent.trim();
  if (text === "" || text === "–") return null;
  const value = text === "inf" || text === "-inf" ? fromStored(text) : Number(text);
  return Number.isNaN(value) ? text : value;
}

/**
 * Return the direction in which a heading sorts next: its first one, or the other one when it is sorted that way.
 * @param {HTMLTableCellElement} heading
 */
function nextDirection(heading) {
  const first = heading.dataset.first ?? "ascending";
  if (heading.getAttribute("aria-sort") !== first) return first;
  return first === "ascending" ? "descending" : "ascending";
}

/**
 * @param {HTMLTableElement} table
 * @param {HTMLTableCellElement} heading
 */
function sort(table, heading) {
  const direction = nextDirection(heading);
  for (const each of headingsOf(table)) each.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const column = heading.cellIndex;
  const rows = [...table.tBodies[0].rows];
  rows.sort((one, other) => compare(keyOf(one, column), keyOf(other, column), sign));
  table.tBodies[0].append(...rows);
}

/**
 * @param {HTMLTableElement} table
 * @returns {NodeListOf<HTMLTableCellElement>}
 */
const headingsOf = (table) => table.querySelectorAll("thead th[aria-sort]");

function startSorting() {
  /** @type {NodeListOf<HTMLTableElement>} */
  const tables = document.querySelectorAll("table.sortable");
  for (const table of tables) {
    for (const heading of headingsOf(table)) {
      heading.querySelector("button")?.addEventListener("click", () => sort(table, heading));
    }
  }
}

/**
 * Hide the rows that do not match, and return whether any is left.
 * @param {Iterable<HTMLTableRowElement>} rows
 * @param {(row: HTMLTableRowElement) => boolean} matches
 */
function filter(rows, matches) {
  let any = false;
  for (const row of rows) {
    row.hidden = !matches(row);
    any ||= !row.hidden;
  }
  return any;
}

function startFilteringMethods() {
  const input = byId("filter-methods", HTMLInputElement);
  const message = byId("filter-methods-none", HTMLElement);
  /** @type {NodeListOf<HTMLTableRowElement>} */
  const rows = document.querySelectorAll("table.results tbody tr");
  input.addEventListener("input", () => {
    const any = filter(rows, (row) => contains(row.dataset.name ?? "", input.value));
    message.textContent = any ? "" : "No method has that in its name.";
  });
}

// The input stands in the title of its table.
function startFilteringRows() {
  /** @type {NodeListOf<HTMLInputElement>} */
  const inputs = document.querySelectorAll("input.filter-rows");
  for (const input of inputs) {
    const table = input.closest(".titled")?.nextElementSibling?.querySelector("table");
    if (!table) continue;
    input.addEventListener("input", () => {
      filter(table.tBodies[0].rows, (row) => contains(row.textContent, input.value));
    });
  }
}

export function start() {
  startSorting();
  startFilteringMethods();
  startFilteringRows();
}
