// The viewer: what is chosen, and its controls. It shows any two of clean, noisy and the outputs, or all of them.
const viewer = (() => {
  const { find, under, sources, title, values, label } = scenes;
  const FLIP_MS = 700;
  const root = byId("viewer");
  const chosen = { scene: null, mode: "grid", a: "noisy", b: "", error: false, gain: 4, flipped: false, paused: false };
  let turn = 0;
  let timer = 0;

  const isAt = (noise, shot) => chosen.scene !== null && chosen.scene.noise === noise && chosen.scene.shot === shot;

  async function layer(scene, source) {
    const id = scene.pictures[source];
    const image = await pixels.bitmap(id);
    if (!chosen.error || scene.pictures.clean === undefined) return image;
    return pixels.error(id, image, scene.pictures.clean, await pixels.bitmap(scene.pictures.clean), chosen.gain);
  }

  async function panes(scene) {
    const { mode, a, b, flipped } = chosen;
    if (mode === "slide") {
      const pane = stage.pane(await Promise.all([layer(scene, b), layer(scene, a)]), `${title(a)} | ${title(b)}`, []);
      stage.handle(pane.frame);
      pane.frame.append(make("span", { class: "tag left" }, title(a)), make("span", { class: "tag right" }, title(b)));
      pane.root.lastElementChild.replaceChildren(caption(scene, a), caption(scene, b));
      return [pane];
    }
    const list = mode === "grid" ? sources(scene) : mode === "pair" ? [a, b] : [flipped ? b : a];
    const layers = await Promise.all(list.map((source) => layer(scene, source)));
    return list.map((source, index) => {
      const pane = stage.pane([layers[index]], title(source), values(scene, source));
      pane.canvas.dataset.source = source;
      if (mode === "grid" && (source === a || source === b)) pane.root.classList.add("chosen");
      return pane;
    });
  }

  function caption(scene, source) {
    const [first, ...rest] = values(scene, source);
    return make("span", {}, make("b", {}, title(source)), ` ${first ?? ""}`, make("span", { class: "rest" }, rest.join(" · ")));
  }

  async function show() {
    const mine = ++turn;
    const { scene } = chosen;
    const list = await panes(scene);
    if (mine !== turn) return;
    const [, , width, height] = scene.box ?? [0, 0, ...scene.size];
    stage.set(chosen.mode, width / height, list);
    describe(scene);
  }

  function describe(scene) {
    const [width, height] = scene.size;
    const box = scene.box;
    const part = box ? `${box[2]}×${box[3]} at (${box[0]}, ${box[1]}) of ${width}×${height}, where the methods err most; values are of the whole image` : `${width}×${height}`;
    byId("view-place").textContent = `${part} · ${Math.round(stage.scale() * 100)} %`;
    byId("view-actual").disabled = !canBeActual();
    byId("view-legend").hidden = !chosen.error;
    byId("view-gain-field").hidden = !chosen.error;
    const [low, strip, high] = byId("view-legend").children;
    low.textContent = `−${Math.round(255 / chosen.gain)}`;
    high.textContent = `+${Math.round(255 / chosen.gain)} levels`;
    pixels.legend(strip);
  }

  function controls() {
    const { scene, mode } = chosen;
    const list = sources(scene);
    const pairs = list.map((source) => [source, title(source)]);
    if (!list.includes(chosen.a)) chosen.a = list.includes("noisy") ? "noisy" : list[0];
    if (!list.includes(chosen.b)) chosen.b = list.find((source) => !["clean", "noisy"].includes(source)) ?? list.at(-1);
    options(byId("view-a"), pairs, chosen.a);
    options(byId("view-b"), pairs, chosen.b);
    options(byId("view-noise"), data.noises.map((name, index) => [index, name]).filter(([index]) => under(index).length), scene.noise);
    options(byId("view-image"), under(scene.noise).map((each) => [each.shot, label(each)]), scene.shot);
    for (const button of byId("view-mode").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    byId("view-error").setAttribute("aria-pressed", String(chosen.error));
    byId("view-error").disabled = scene.pictures.clean === undefined;
    byId("view-pause").hidden = mode !== "flick";
    byId("view-pause").textContent = chosen.paused ? "Play" : "Pause";
    clearInterval(timer);
    if (mode === "flick" && !chosen.paused) timer = setInterval(flip, FLIP_MS);
  }

  function flip() {
    chosen.flipped = !chosen.flipped;
    show();
  }

  function update(changes) {
    Object.assign(chosen, changes);
    controls();
    matrix.mark(chosen.scene.noise, chosen.scene.shot);
    return show();
  }

  // Another scene begins as a whole; the same image under another noise keeps the view.
  function go(scene) {
    if (!scene) return;
    if (chosen.scene && data.shots[scene.shot][0] !== data.shots[chosen.scene.shot][0]) view.fit();
    update({ scene });
  }

  function step(by) {
    const list = under(chosen.scene.noise);
    go(list[(list.indexOf(chosen.scene) + by + list.length) % list.length]);
  }

  // Opened from the matrix: this image, and this method beside what A was.
  function open(noise, shot, method) {
    const scene = find(noise, shot);
    if (!scene) return;
    const same = scene.pictures[method] === scene.pictures.noisy;
    if (!same) chosen.b = method;
    if (chosen.a === chosen.b) chosen.a = "noisy";
    go(scene);
    byId("pictures").scrollIntoView();
    stage.root.focus({ preventScroll: true });
  }

  function full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.();
  }

  const swap = () => update({ a: chosen.b, b: chosen.a });
  // A picture that is smaller than its pane is enlarged to fit it, and nothing is ever shown smaller than that.
  const canBeActual = () => stage.scale() <= view.seen.zoom * 1.001;
  const actual = () => { if (canBeActual()) view.zoomBy(1 / stage.scale()); };
  const KEYS = {
    "+": () => view.zoomBy(1.5), "=": () => view.zoomBy(1.5), "-": () => view.zoomBy(1 / 1.5), 0: () => view.fit(), 1: actual,
    ArrowLeft: () => view.pan(-0.1, 0), ArrowRight: () => view.pan(0.1, 0), ArrowUp: () => view.pan(0, -0.1), ArrowDown: () => view.pan(0, 0.1),
    n: () => step(1), p: () => step(-1), x: swap, f: full,
    e: () => { if (!byId("view-error").disabled) update({ error: !chosen.error }); },
    " ": () => (chosen.mode === "flick" ? (chosen.paused = true, controls(), flip()) : swap()),
  };

  function readout(event) {
    const { scene } = chosen;
    const canvas = event.target.closest("canvas");
    if (!canvas) return;
    const [width, height] = scene.box ? scene.box.slice(2) : scene.size;
    const [across, down] = view.pointAt(...view.within(canvas, event));
    const [x, y] = [Math.floor(across * width), Math.floor(down * height)];
    if (x < 0 || y < 0 || x >= width || y >= height) return;
    const list = chosen.mode === "grid" ? sources(scene).slice(0, 8) : [...new Set(["clean", chosen.a, chosen.b])].filter((each) => scene.pictures[each] !== undefined);
    Promise.all(list.map((source) => pixels.bitmap(scene.pictures[source]))).then((images) => {
      const at = (y * width + x) * 4;
      const texts = list.map((source, index) => {
        const levels = pixels.levels(scene.pictures[source], images[index]);
        const gray = levels[at] === levels[at + 1] && levels[at] === levels[at + 2];
        return `${title(source)} ${gray ? levels[at] : levels.slice(at, at + 3).join("/")}`;
      });
      const [left, top] = scene.box ?? [0, 0];
      byId("view-pixel").textContent = `(${x + left}, ${y + top}) ${texts.join(" · ")}`;
    });
  }

  function listen() {
    const on = (id, name, act) => byId(id).addEventListener(name, act);
    on("view-noise", "input", (event) => {
      const noise = Number(event.target.value);
      go(find(noise, chosen.scene.shot) ?? under(noise)[0]);
    });
    on("view-image", "input", (event) => go(find(chosen.scene.noise, Number(event.target.value))));
    on("view-previous", "click", () => step(-1));
    on("view-next", "click", () => step(1));
    on("view-mode", "click", (event) => {
      const { mode } = event.target.closest("button")?.dataset ?? {};
      if (mode) update({ mode, paused: matchMedia("(prefers-reduced-motion: reduce)").matches });
    });
    on("view-a", "input", (event) => update({ a: event.target.value }));
    on("view-b", "input", (event) => update({ b: event.target.value }));
    on("view-swap", "click", swap);
    on("view-error", "click", KEYS.e);
    on("view-gain", "input", (event) => update({ gain: Number(event.target.value) }));
    on("view-in", "click", KEYS["+"]);
    on("view-out", "click", KEYS["-"]);
    on("view-fit", "click", KEYS[0]);
    on("view-actual", "click", actual);
    on("view-pause", "click", () => update({ paused: !chosen.paused }));
    on("view-full", "click", full);
    byId("view-full").hidden = !document.fullscreenEnabled;
    stage.root.addEventListener("pointermove", readout);
    stage.root.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
      event.preventDefault();
      KEYS[event.key]();
    });
    document.addEventListener("theme", () => show());
  }

  function start() {
    if (!root || !data.scenes.length) return;
    root.hidden = false;
    if (innerWidth < 700) chosen.mode = "slide";
    view.listen(stage.root, () => { stage.redraw(); describe(chosen.scene); });
    listen();
    chosen.scene = data.scenes[0];
    return update({});
  }

  return { start, open, isAt };
})();
