// The matrix: a row for each image, a column for each method, hardest image first; one page of rows at a time.
import { report, scoreOf } from "./data.js";
import { byId, closest, make, setOptions } from "./elements.js";
import * as scenes from "./scenes.js";
import { compare, contains, fromText, toText } from "./values.js";
import * as viewer from "./viewer.js";

/**
 * @typedef {object} Row
 * @property {number} shot
 * @property {number} place Where the shot stands among the scores of its noise.
 * @property {string} image
 * @property {number} seed
 * @property {number | string | null} key What the rows are sorted by.
 */

const ROWS_PER_PAGE = 25;

const table = byId("matrix", HTMLTableElement);
const head = /** @type {HTMLTableSectionElement} */ (table.tHead);
const body = table.tBodies[0];
const menu = byId("matrix-methods", HTMLDetailsElement);
const noiseMenu = byId("matrix-noise", HTMLSelectElement);
const metricMenu = byId("matrix-metric", HTMLSelectElement);
const seedMenu = byId("matrix-seed", HTMLSelectElement);
const imageFilter = byId("filter-images", HTMLInputElement);
const previous = byId("matrix-previous", HTMLButtonElement);
const next = byId("matrix-next", HTMLButtonElement);

const state = {
  noise: 0,
  metric: 0,
  seed: "", // of all seeds
  typed: "",
  /** @type {Set<number>} Methods without a column. */
  hidden: new Set(),
  /** @type {number | "image" | "mean"} The column that the rows are sorted by; a number is a method. */
  column: "mean",
  sign: 1,
  page: 0,
};

const metric = () => report.metrics[state.metric];
const columns = () => report.ranks[state.noise].filter((method) => !state.hidden.has(method));

// The sign that sorts the worst first: low values if high ones are good.
const worstFirst = () => (metric().higher ? 1 : -1);

/**
 * @param {number} place
 * @param {number} method
 */
const scoreAt = (place, method) => scoreOf(state.metric, state.noise, place, method);

/**
 * Return the mean over the methods that have a column.
 * @param {number} place
 */
function mean(place) {
  let [sum, count] = [0, 0];
  for (const method of columns()) {
    const score = scoreAt(place, method);
    if (score === null || !Number.isFinite(score)) continue;
    sum += score;
    count += 1;
  }
  return count ? sum / count : null;
}

/**
 * @param {number} place
 * @param {string} image
 */
function keyOf(place, image) {
  if (state.column === "image") return image;
  return state.column === "mean" ? mean(place) : scoreAt(place, state.column);
}

/**
 * Return the rows that fit the filters, sorted.
 * @returns {Row[]}
 */
function rows() {
  /** @type {Row[]} */
  const found = [];
  report.places[state.noise].forEach((shot, place) => {
    const [image, seed] = report.shots[shot];
    if (!contains(image, state.typed)) return;
    if (state.seed !== "" && seed !== Number(state.seed)) return;
    found.push({ shot, place, image, seed, key: keyOf(place, image) });
  });
  return found.sort((one, other) => compare(one.key, other.key, state.sign) || one.place - other.place);
}

/** @param {string} name */
function directionOf(name) {
  if (String(state.column) !== name) return "none";
  return state.sign === 1 ? "ascending" : "descending";
}

/**
 * @param {string} name
 * @param {string} text
 */
function makeHeading(name, text) {
  const button = make("button", { type: "button", title: text, "data-column": name }, text);
  return make("th", { scope: "col", "aria-sort": directionOf(name) }, button);
}

/**
 * Return the classes of the best and the second text of a row; there is no best when all are the same.
 * @param {(number | null)[]} scores
 * @returns {Map<string, string>}
 */
function classesOf(scores) {
  const texts = new Set();
  for (const score of scores) if (score !== null) texts.add(toText(score, metric()));
  const [best, second] = [...texts].sort((one, other) => compare(fromText(one), fromText(other), -worstFirst()));
  if (second === undefined) return new Map();
  return new Map([
    [best, "best"],
    [second, "second"],
  ]);
}

/**
 * @param {Row} row
 * @param {number} method
 * @param {Map<string, string>} classes
 */
function makeCell(row, method, classes) {
  const problem = report.problems[`${state.noise}:${row.shot}:${method}`];
  if (problem) {
    const [status, reason] = problem;
    return make("td", {}, make("span", { class: "status", title: reason }, status));
  }
  const text = toText(scoreAt(row.place, method), metric());
  const kind = classes.get(text) ?? null;
  if (!scenes.has(state.noise, row.shot, method)) return make("td", { class: kind }, make("span", {}, text));
  const button = make(
    "button",
    {
      type: "button",
      tabindex: "-1",
      "data-shot": row.shot,
      "data-method": method,
      "aria-label": `${report.methods[method]}, image ${row.image}: ${text}`,
    },
    text,
  );
  return make("td", { class: kind }, button);
}

/** @param {Row} row */
function makeRow(row) {
  const name = report.seeds > 1 ? `seed ${row.seed} · ${row.image}` : row.image;
  const current = viewer.isAt(state.noise, row.shot) ? "true" : null;
  const classes = classesOf(columns().map((method) => scoreAt(row.place, method)));
  return make(
    "tr",
    { "aria-current": current, "data-shot": row.shot },
    make("th", { scope: "row", title: name }, name),
    make("td", { class: "mean" }, make("span", {}, toText(mean(row.place), metric()))),
    ...columns().map((method) => makeCell(row, method, classes)),
  );
}

function makeHead() {
  const methods = columns().map((method) => makeHeading(String(method), report.methods[method]));
  return make("tr", {}, makeHeading("image", "Image"), makeHeading("mean", "Mean"), ...methods);
}

/**
 * @param {number} first
 * @param {number} count
 * @param {number} all
 */
function rangeText(first, count, all) {
  if (!all) return "no image matches";
  return `${first + 1}–${first + count} of ${all} ${report.seeds > 1 ? "images and seeds" : "images"}`;
}

function draw() {
  const all = rows();
  state.page = Math.max(0, Math.min(state.page, Math.ceil(all.length / ROWS_PER_PAGE) - 1));
  const first = state.page * ROWS_PER_PAGE;
  const some = all.slice(first, first + ROWS_PER_PAGE);
  head.replaceChildren(makeHead());
  body.replaceChildren(...some.map(makeRow));
  table.querySelector("td > button")?.setAttribute("tabindex", "0");
  byId("matrix-range", HTMLElement).textContent = rangeText(first, some.length, all.length);
  previous.disabled = state.page === 0;
  next.disabled = first + ROWS_PER_PAGE >= all.length;
}

/** @param {string} name `image`, `mean`, or a method's index. */
function sortBy(name) {
  const column = name === "image" || name === "mean" ? name : Number(name);
  const first = column === "image" ? 1 : worstFirst();
  state.sign = state.column === column && state.sign === first ? -first : first;
  state.column = column;
  state.page = 0;
  draw();
}

/**
 * Show the images on which a method is worst: what a method's name in the results leads to.
 * @param {number} noise
 * @param {number} method
 */
function showWorstOf(noise, method) {
  state.hidden.delete(method);
  Object.assign(state, { noise, column: method, sign: worstFirst(), page: 0, typed: "" });
  imageFilter.value = "";
  noiseMenu.value = String(noise);
  fillMenu();
  draw();
  byId("images", HTMLElement).scrollIntoView();
}

/** @type {Record<string, [number, number]>} Rows down and columns to the right. */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** @param {KeyboardEvent} event */
function moveFocus(event) {
  const button = closest(event, "td > button", HTMLButtonElement);
  const cell = closest(event, "td", HTMLTableCellElement);
  const row = closest(event, "tr", HTMLTableRowElement);
  const move = MOVES[event.key];
  if (!button || !cell || !row || !move) return;
  event.preventDefault();
  const [down, right] = move;
  const target = body.rows[row.sectionRowIndex + down]?.cells[cell.cellIndex + right]?.querySelector("button");
  if (!target) return;
  button.tabIndex = -1;
  target.tabIndex = 0;
  target.focus();
}

/**
 * Sort by a heading, or show the picture of a score.
 * @param {MouseEvent} event
 */
function click(event) {
  const button = closest(event, "button", HTMLButtonElement);
  if (!button) return;
  const { column, shot, method } = button.dataset;
  if (column === undefined) {
    viewer.open(state.noise, Number(shot), Number(method));
    return;
  }
  sortBy(column);
  // The headings are new: the focus goes to the one that was clicked.
  /** @type {HTMLElement | null} */
  const heading = head.querySelector(`button[data-column="${column}"]`);
  heading?.focus();
}

function fillMenu() {
  const boxes = report.methods.map((name, method) => {
    const input = make("input", { type: "checkbox", value: method });
    input.checked = !state.hidden.has(method);
    return make("label", {}, input, name);
  });
  menu.lastElementChild?.replaceChildren(...boxes);
}

/** @param {Event} event */
function toggleColumn(event) {
  const input = closest(event, "input", HTMLInputElement);
  if (!input) return;
  const method = Number(input.value);
  if (input.checked) state.hidden.delete(method);
  else state.hidden.add(method);
  draw();
}

/** @param {number} by */
function turnPage(by) {
  state.page += by;
  draw();
}

/**
 * @param {HTMLInputElement | HTMLSelectElement} control
 * @param {(value: string) => void} change
 */
function onInput(control, change) {
  control.addEventListener("input", () => {
    change(control.value);
    state.page = 0;
    draw();
  });
}

function listenToControls() {
  onInput(noiseMenu, (noise) => {
    state.noise = Number(noise);
  });
  onInput(metricMenu, (index) => {
    state.metric = Number(index);
    if (state.column !== "image") state.sign = worstFirst();
  });
  onInput(seedMenu, (seed) => {
    state.seed = seed;
  });
  onInput(imageFilter, (typed) => {
    state.typed = typed;
  });
  previous.addEventListener("click", () => turnPage(-1));
  next.addEventListener("click", () => turnPage(1));
  menu.addEventListener("change", toggleColumn);
}

/**
 * Close the menu after a click outside of it, and follow a method's name in the results.
 * @param {MouseEvent} event
 */
function clickAnywhere(event) {
  if (!(event.target instanceof Node && menu.contains(event.target))) menu.open = false;
  const name = closest(event, "table.results button[data-method]", HTMLButtonElement);
  const results = closest(event, "table.results", HTMLTableElement);
  if (name?.dataset.method === undefined || !results) return;
  showWorstOf(Number(results.dataset.noise), Number(name.dataset.method));
}

function fillControls() {
  setOptions(
    noiseMenu,
    report.noises.map((name, noise) => [noise, name]),
    0,
  );
  setOptions(
    metricMenu,
    report.metrics.map(({ title }, index) => [index, title]),
    0,
  );
  byId("matrix-seed-field", HTMLElement).hidden = report.seeds < 2;
  /** @type {[string, string][]} */
  const seeds = [["", "all"]];
  for (let seed = 0; seed < report.seeds; seed += 1) seeds.push([String(seed), String(seed)]);
  setOptions(seedMenu, seeds, "");
  fillMenu();
}

/**
 * Mark the row of the shot that the viewer shows.
 * @param {number} noise
 * @param {number} shot
 */
export function mark(noise, shot) {
  for (const row of body.rows) {
    if (noise === state.noise && Number(row.dataset.shot) === shot) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

export function start() {
  state.sign = worstFirst();
  fillControls();
  listenToControls();
  table.addEventListener("click", click);
  table.addEventListener("keydown", moveFocus);
  document.addEventListener("click", clickAnywhere);
  draw();
}
