// The matrix: an image a row, a method a column, hardest first; a page of rows at a time.
const matrix = (() => {
  const PAGE = 25;
  const table = byId("matrix");
  const state = { noise: 0, metric: 0, seed: "", needle: "", hidden: new Set(), column: "mean", sign: 1, page: 0 };
  const metric = () => data.metrics[state.metric];
  const columns = () => data.ranks[state.noise].filter((method) => !state.hidden.has(method));

  function valueAt(place, method, which = state.metric, noise = state.noise) {
    return number(data.values[which][noise][place * data.methods.length + method]);
  }

  function mean(place) {
    const values = columns().map((method) => valueAt(place, method)).filter(Number.isFinite);
    return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
  }

  function rows() {
    const places = data.places[state.noise].map((shot, place) => ({ shot, place, image: data.shots[shot][0], seed: data.shots[shot][1] }));
    const kept = places.filter((row) => said(state.needle, row.image) && (state.seed === "" || row.seed === Number(state.seed)));
    const key = { image: (row) => row.image, mean: (row) => mean(row.place) }[state.column] ?? ((row) => valueAt(row.place, state.column));
    for (const row of kept) row.key = key(row);
    return kept.sort((one, other) => order(one.key, other.key, state.sign) || one.place - other.place);
  }

  // Worst first: low values where high ones are good.
  const worstSign = () => (metric().higher ? 1 : -1);

  function heading(name, text) {
    const sorted = state.column === name ? (state.sign === 1 ? "ascending" : "descending") : "none";
    const button = make("button", { type: "button", title: text, "data-column": name }, text);
    return make("th", { scope: "col", "aria-sort": sorted }, button);
  }

  function ranks(values) {
    const finite = [...new Set(values.filter((value) => value !== null).map((value) => shown(value, metric())))];
    finite.sort((one, other) => order(parsed(one), parsed(other), -worstSign()));
    return finite.length > 1 ? finite : [];
  }

  function cell(row, method, value, ranked) {
    const problem = data.problems[`${state.noise}:${row.shot}:${method}`];
    if (problem) return make("td", {}, make("span", { class: "status", title: problem[1] }, problem[0]));
    const text = shown(value, metric());
    const kind = text === ranked[0] ? "best" : text === ranked[1] ? "second" : null;
    const label = `${data.methods[method]}, image ${row.image}: ${text}`;
    const attributes = { type: "button", tabindex: "-1", "data-shot": row.shot, "data-method": method, "aria-label": label };
    const seen = scenes.has(state.noise, row.shot, method);
    return make("td", { class: kind }, seen ? make("button", attributes, text) : make("span", {}, text));
  }

  function line(row) {
    const values = columns().map((method) => valueAt(row.place, method));
    const ranked = ranks(values);
    const name = data.seeds > 1 ? `seed ${row.seed} · ${row.image}` : row.image;
    const current = viewer.isAt(state.noise, row.shot);
    return make("tr", { "aria-current": current ? "true" : null, "data-shot": row.shot },
      make("th", { scope: "row", title: name }, name),
      make("td", { class: "mean" }, make("span", {}, shown(mean(row.place), metric()))),
      ...columns().map((method, index) => cell(row, method, values[index], ranked)));
  }

  function draw() {
    const all = rows();
    state.page = Math.max(0, Math.min(state.page, Math.ceil(all.length / PAGE) - 1));
    const first = state.page * PAGE;
    const some = all.slice(first, first + PAGE);
    table.tHead.replaceChildren(make("tr", {}, heading("image", "Image"), heading("mean", "Mean"), ...columns().map((method) => heading(method, data.methods[method]))));
    table.tBodies[0].replaceChildren(...some.map(line));
    table.querySelector("td > button")?.setAttribute("tabindex", "0");
    byId("matrix-range").textContent = all.length ? `${first + 1}–${first + some.length} of ${all.length} ${data.seeds > 1 ? "images and seeds" : "images"}` : "no image matches";
    byId("matrix-previous").disabled = state.page === 0;
    byId("matrix-next").disabled = first + PAGE >= all.length;
  }

  function sortBy(name) {
    const column = /^\d+$/.test(name) ? Number(name) : name;
    const first = column === "image" ? 1 : worstSign();
    state.sign = state.column === column && state.sign === first ? -first : first;
    state.column = column;
    state.page = 0;
    draw();
  }

  // A method's worst images under a noise: where the names in the results lead.
  function worstOf(noise, method) {
    state.hidden.delete(method);
    Object.assign(state, { noise, column: method, sign: worstSign(), page: 0, needle: "" });
    byId("filter-images").value = "";
    byId("matrix-noise").value = String(noise);
    menu();
    draw();
    byId("images").scrollIntoView();
  }

  function step(button, key) {
    const rowsNow = [...table.tBodies[0].rows];
    const row = rowsNow.indexOf(button.closest("tr"));
    const column = button.closest("td").cellIndex;
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    const [down, right] = moves[key];
    const next = rowsNow[row + down]?.cells[column + right]?.querySelector("button");
    if (!next) return;
    button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function menu() {
    const box = (method) => {
      const input = make("input", { type: "checkbox", value: method });
      input.checked = !state.hidden.has(method);
      return make("label", {}, input, data.methods[method]);
    };
    byId("matrix-methods").lastElementChild.replaceChildren(...data.methods.map((_, method) => box(method)));
  }

  function listen() {
    const chosen = (id, name, convert) => byId(id).addEventListener("input", (event) => {
      state[name] = convert(event.target.value);
      state.page = 0;
      if (name === "metric" && state.column !== "image") state.sign = worstSign();
      draw();
    });
    chosen("matrix-noise", "noise", Number);
    chosen("matrix-metric", "metric", Number);
    chosen("matrix-seed", "seed", String);
    chosen("filter-images", "needle", String);
    byId("matrix-previous").addEventListener("click", () => { state.page -= 1; draw(); });
    byId("matrix-next").addEventListener("click", () => { state.page += 1; draw(); });
    byId("matrix-methods").addEventListener("change", (event) => {
      const method = Number(event.target.value);
      if (event.target.checked) state.hidden.delete(method); else state.hidden.add(method);
      draw();
    });
    table.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.dataset.column !== undefined) {
        sortBy(button.dataset.column);
        table.querySelector(`button[data-column="${button.dataset.column}"]`).focus();
      } else if (button) viewer.open(state.noise, Number(button.dataset.shot), button.dataset.method);
    });
    table.addEventListener("keydown", (event) => {
      const button = event.target.closest("td > button");
      if (!button || !event.key.startsWith("Arrow")) return;
      event.preventDefault();
      step(button, event.key);
    });
    document.addEventListener("click", (event) => {
      if (!byId("matrix-methods").contains(event.target)) byId("matrix-methods").open = false;
      const name = event.target.closest("table.results button[data-method]");
      if (name) worstOf(Number(name.closest("table").dataset.noise), Number(name.dataset.method));
    });
  }

  function mark(noise, shot) {
    for (const row of table.tBodies[0].rows) {
      if (noise === state.noise && Number(row.dataset.shot) === shot) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  function start() {
    options(byId("matrix-noise"), data.noises.map((name, index) => [index, name]), 0);
    options(byId("matrix-metric"), data.metrics.map((each, index) => [index, each.title]), 0);
    byId("matrix-seed-field").hidden = data.seeds < 2;
    options(byId("matrix-seed"), [["", "all"], ...Array.from({ length: data.seeds }, (_, seed) => [seed, String(seed)])], "");
    state.sign = worstSign();
    menu();
    listen();
    draw();
  }

  return { start, mark, valueAt, worstOf };
})();
