// The viewer: what is chosen, and its controls. It shows any two of clean, noisy and the outputs, or all of them.
import { report } from "./data.js";
import { byId, closest, make, setOptions } from "./elements.js";
import * as pixels from "./pixels.js";
import * as scenes from "./scenes.js";
import * as stage from "./stage.js";
import * as view from "./view.js";

const FLIP_MS = 700;
const MOST_READ_OUT = 8;

const chosen = {
  scene: report.scenes[0], // undefined in a page without pictures, which never starts the viewer
  mode: "grid",
  a: "noisy",
  b: "",
  error: false,
  gain: 4,
  flipped: false,
  paused: false,
};
let turn = 0;
let timer = 0;

/** @type {(noise: number, shot: number) => void} */
let announce = () => {};

/** @param {string} id */
const button = (id) => byId(id, HTMLButtonElement);

/** @param {string} id */
const select = (id) => byId(id, HTMLSelectElement);

/** @param {string} id */
const element = (id) => byId(id, HTMLElement);

/**
 * Return whether the viewer shows this shot under this noise.
 * @param {number} noise
 * @param {number} shot
 * @returns {boolean}
 */
export const isAt = (noise, shot) => chosen.scene?.noise === noise && chosen.scene.shot === shot;

/**
 * Return the picture of a source that the scene has.
 * @param {Scene} scene
 * @param {string} source
 */
function idOf(scene, source) {
  const id = scene.pictures[source];
  if (id === undefined) throw new Error(`This scene has no picture of ${source}.`);
  return id;
}

/**
 * Return what is drawn for a source: its picture, or the error of it.
 * @param {Scene} scene
 * @param {string} source
 * @returns {Promise<Layer>}
 */
async function layer(scene, source) {
  const id = idOf(scene, source);
  const image = await pixels.bitmap(id);
  const clean = scene.pictures.clean;
  if (!chosen.error || clean === undefined) return image;
  return pixels.error(id, image, clean, await pixels.bitmap(clean), chosen.gain);
}

/**
 * @param {Scene} scene
 * @param {string} source
 */
function caption(scene, source) {
  const [first, ...rest] = scenes.scores(scene, source);
  const others = make("span", { class: "rest" }, rest.join(" · "));
  return make("span", {}, make("b", {}, scenes.title(source)), ` ${first ?? ""}`, others);
}

/**
 * Return a pane with A to the left of a divider and B to the right of it.
 * @param {Scene} scene
 */
async function dividedPane(scene) {
  const { a, b } = chosen;
  const [left, right] = [scenes.title(a), scenes.title(b)];
  const layers = await Promise.all([layer(scene, b), layer(scene, a)]);
  const pane = stage.makePane(layers, `${left} | ${right}`, []);
  stage.addHandle(pane.frame);
  pane.frame.append(make("span", { class: "tag left" }, left), make("span", { class: "tag right" }, right));
  pane.caption.replaceChildren(caption(scene, a), caption(scene, b));
  return pane;
}

/**
 * Return the sources that have a pane of their own.
 * @param {Scene} scene
 */
function sourcesShown(scene) {
  const { mode, a, b, flipped } = chosen;
  if (mode === "grid") return scenes.sources(scene);
  if (mode === "pair") return [a, b];
  return [flipped ? b : a];
}

/** @param {Scene} scene */
async function panes(scene) {
  const { mode, a, b } = chosen;
  if (mode === "slide") return [await dividedPane(scene)];
  const list = sourcesShown(scene);
  const layers = await Promise.all(list.map((source) => layer(scene, source)));
  return list.map((source, index) => {
    const pane = stage.makePane([layers[index]], scenes.title(source), scenes.scores(scene, source));
    pane.canvas.dataset.source = source;
    pane.root.classList.toggle("chosen", mode === "grid" && (source === a || source === b));
    return pane;
  });
}

/**
 * Return width and height of the pictures of a scene, in pixels.
 * @param {Scene} scene
 * @returns {[number, number]}
 */
const sizeOf = ({ box, size }) => (box ? [box[2], box[3]] : size);

// Pictures are decoded in the background: when something else was chosen meanwhile, these are not shown any more.
async function show() {
  turn += 1;
  const mine = turn;
  const { scene } = chosen;
  const list = await panes(scene);
  if (mine !== turn) return;
  const [width, height] = sizeOf(scene);
  stage.show(chosen.mode, width / height, list);
  describe();
}

/** @param {Scene} scene */
function partOf({ box, size }) {
  const whole = size.join("×");
  if (!box) return whole;
  const [left, top, width, height] = box;
  const part = `${width}×${height} at (${left}, ${top}) of ${whole}`;
  return `${part}, where the methods err most; values are of the whole image`;
}

// Everything that is written around the stage and depends on the scene, the size or the zoom.
function describe() {
  element("view-place").textContent = `${partOf(chosen.scene)} · ${Math.round(stage.scale() * 100)} %`;
  button("view-actual").disabled = !canBeActual();
  element("view-gain-field").hidden = !chosen.error;
  const legend = element("view-legend");
  legend.hidden = !chosen.error;
  const [low, high] = legend.querySelectorAll("span");
  low.textContent = `−${Math.round(255 / chosen.gain)}`;
  high.textContent = `+${Math.round(255 / chosen.gain)} levels`;
  const strip = legend.querySelector("canvas");
  if (strip) pixels.drawLegend(strip);
}

// A and B stay as they are in another scene, if it has pictures of them.
function settleSources() {
  const list = scenes.sources(chosen.scene);
  if (!list.includes(chosen.a)) chosen.a = list.includes("noisy") ? "noisy" : list[0];
  if (!list.includes(chosen.b)) {
    const output = list.find((source) => source !== "clean" && source !== "noisy");
    chosen.b = output ?? list[list.length - 1];
  }
}

function fillMenus() {
  const { scene, a, b } = chosen;
  /** @type {[string, string][]} */
  const sources = scenes.sources(scene).map((source) => [source, scenes.title(source)]);
  setOptions(select("view-a"), sources, a);
  setOptions(select("view-b"), sources, b);
  /** @type {[number, string][]} */
  const noises = report.noises.map((name, index) => [index, name]);
  const shown = noises.filter(([noise]) => scenes.under(noise).length > 0);
  setOptions(select("view-noise"), shown, scene.noise);
  /** @type {[number, string][]} */
  const images = scenes.under(scene.noise).map((each) => [each.shot, scenes.label(each)]);
  setOptions(select("view-image"), images, scene.shot);
}

function updateButtons() {
  const { scene, mode, error, paused } = chosen;
  for (const each of element("view-mode").querySelectorAll("button")) {
    each.setAttribute("aria-pressed", String(each.dataset.mode === mode));
  }
  button("view-error").setAttribute("aria-pressed", String(error));
  button("view-error").disabled = scene.pictures.clean === undefined;
  button("view-pause").hidden = mode !== "flick";
  button("view-pause").textContent = paused ? "Play" : "Pause";
}

function updateControls() {
  settleSources();
  fillMenus();
  updateButtons();
  clearInterval(timer);
  if (chosen.mode === "flick" && !chosen.paused) timer = setInterval(flip, FLIP_MS);
}

function flip() {
  chosen.flipped = !chosen.flipped;
  return show();
}

/** @param {Partial<typeof chosen>} changes */
function update(changes) {
  Object.assign(chosen, changes);
  updateControls();
  announce(chosen.scene.noise, chosen.scene.shot);
  return show();
}

/**
 * Show another scene. Another image is shown whole; the same image under another noise keeps the view.
 * @param {Scene | undefined} scene
 */
function go(scene) {
  if (!scene) return;
  const [image] = report.shots[scene.shot];
  const [before] = report.shots[chosen.scene.shot];
  if (image !== before) view.fit();
  update({ scene });
}

/** @param {number} by */
function step(by) {
  const list = scenes.under(chosen.scene.noise);
  go(list[(list.indexOf(chosen.scene) + by + list.length) % list.length]);
}

/**
 * Show a shot with this method as B, and go to the pictures.
 * @param {number} noise
 * @param {number} shot
 * @param {number} method
 */
export function open(noise, shot, method) {
  const scene = scenes.find(noise, shot);
  if (!scene) return;
  const source = String(method);
  if (scene.pictures[source] !== scene.pictures.noisy) chosen.b = source; // otherwise it is shown as `noisy`
  if (chosen.a === chosen.b) chosen.a = "noisy";
  go(scene);
  element("pictures").scrollIntoView();
  stage.root().focus({ preventScroll: true });
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else element("viewer").requestFullscreen();
}

const swap = () => update({ a: chosen.b, b: chosen.a });

// A picture that is smaller than its pane is enlarged to fit it, and none is ever shown smaller than that.
const canBeActual = () => stage.scale() <= view.seen.zoom * 1.001;

function showActualSize() {
  if (canBeActual()) view.zoomBy(1 / stage.scale());
}

function toggleError() {
  if (!button("view-error").disabled) update({ error: !chosen.error });
}

// In the flicker by hand, and otherwise A and B change places.
function flipByHand() {
  if (chosen.mode !== "flick") {
    swap();
    return;
  }
  chosen.paused = true;
  updateControls();
  flip();
}

const zoomIn = () => view.zoomBy(1.5);
const zoomOut = () => view.zoomBy(1 / 1.5);

/** @type {Record<string, () => void>} */
const KEYS = {
  "+": zoomIn,
  "=": zoomIn,
  "-": zoomOut,
  0: view.fit,
  1: showActualSize,
  ArrowLeft: () => view.pan(-0.1, 0),
  ArrowRight: () => view.pan(0.1, 0),
  ArrowUp: () => view.pan(0, -0.1),
  ArrowDown: () => view.pan(0, 0.1),
  n: () => step(1),
  p: () => step(-1),
  x: swap,
  f: toggleFullScreen,
  e: toggleError,
  " ": flipByHand,
};

/** @param {KeyboardEvent} event */
function pressKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

// The sources whose levels are read out: all that are seen, or the first of them, and the clean image.
function sourcesReadOut() {
  const { scene, mode, a, b } = chosen;
  if (mode === "grid") return scenes.sources(scene).slice(0, MOST_READ_OUT);
  return [...new Set(["clean", a, b])].filter((source) => scene.pictures[source] !== undefined);
}

/**
 * Return the levels of a source at a pixel, one for a gray pixel and three for a coloured one.
 * @param {Scene} scene
 * @param {string} source
 * @param {number} pixel
 */
async function levelsAt(scene, source, pixel) {
  const id = idOf(scene, source);
  const levels = pixels.levels(id, await pixels.bitmap(id));
  const [red, green, blue] = levels.slice(4 * pixel, 4 * pixel + 3);
  return `${scenes.title(source)} ${red === green && red === blue ? red : `${red}/${green}/${blue}`}`;
}

/**
 * Write the levels of the pixel at the pointer.
 * @param {PointerEvent} event
 */
async function readOut(event) {
  const canvas = closest(event, "canvas", HTMLCanvasElement);
  if (!canvas) return;
  const { scene } = chosen;
  const [width, height] = sizeOf(scene);
  const [across, down] = view.pointAt(...view.within(canvas, event));
  const [x, y] = [Math.floor(across * width), Math.floor(down * height)];
  if (x < 0 || y < 0 || x >= width || y >= height) return;
  const texts = await Promise.all(sourcesReadOut().map((source) => levelsAt(scene, source, y * width + x)));
  const [left, top] = scene.box ?? [0, 0];
  element("view-pixel").textContent = `(${x + left}, ${y + top}) ${texts.join(" · ")}`;
}

/** @param {Event} event */
function chooseMode(event) {
  const mode = closest(event, "button", HTMLButtonElement)?.dataset.mode;
  if (!mode) return;
  const paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
  update({ mode, paused });
}

/**
 * @param {string} id
 * @param {(value: string) => void} act
 */
function onChoice(id, act) {
  const menu = select(id);
  menu.addEventListener("input", () => act(menu.value));
}

/**
 * @param {string} id
 * @param {() => void} act
 */
const onClick = (id, act) => button(id).addEventListener("click", () => act());

function listen() {
  onChoice("view-noise", (noise) =>
    go(scenes.find(Number(noise), chosen.scene.shot) ?? scenes.under(Number(noise))[0]),
  );
  onChoice("view-image", (shot) => go(scenes.find(chosen.scene.noise, Number(shot))));
  onChoice("view-a", (a) => update({ a }));
  onChoice("view-b", (b) => update({ b }));
  onChoice("view-gain", (gain) => update({ gain: Number(gain) }));
  onClick("view-previous", () => step(-1));
  onClick("view-next", () => step(1));
  onClick("view-swap", swap);
  onClick("view-error", toggleError);
  onClick("view-in", zoomIn);
  onClick("view-out", zoomOut);
  onClick("view-fit", view.fit);
  onClick("view-actual", showActualSize);
  onClick("view-pause", () => update({ paused: !chosen.paused }));
  onClick("view-full", toggleFullScreen);
  element("view-mode").addEventListener("click", chooseMode);
  stage.root().addEventListener("pointermove", readOut);
  stage.root().addEventListener("keydown", pressKey);
  document.addEventListener("theme", show);
}

function viewChanged() {
  stage.redraw();
  describe();
}

/**
 * Show the first scene, if there is one.
 * @param {(noise: number, shot: number) => void} onScene Called with each scene that is shown.
 * @returns {Promise<void>} Done when the pictures are on the stage.
 */
export async function start(onScene) {
  if (!report.scenes.length) return;
  announce = onScene;
  element("viewer").hidden = false;
  button("view-full").hidden = !document.fullscreenEnabled;
  if (innerWidth < 700) chosen.mode = "slide";
  pixels.start();
  stage.start();
  view.start(stage.root(), viewChanged);
  listen();
  await update({});
}
