// The stage: panes on which the pictures of a scene are drawn, all with the same view.
import { byId, contextOf, make } from "./elements.js";
import * as view from "./view.js";

/**
 * How far each key moves the divider, as a part of the pane.
 * @type {Record<string, number>}
 */
const STEPS = { ArrowLeft: -0.02, ArrowRight: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 };

/** @type {Pane[]} */
let panes = [];
let divider = 0.5;
let waiting = false;

/** The element of the stage; a page without pictures has none. */
export const root = () => byId("stage", HTMLElement);

/**
 * Return the two parts of a caption: a title with its first value, and the further values.
 * @param {string} title
 * @param {string[]} values
 */
function captionOf(title, values) {
  const [first, ...rest] = values;
  return [make("b", {}, title), make("span", {}, first ?? ""), make("span", { class: "rest" }, rest.join(" · "))];
}

/**
 * Make a pane for one picture, or for two with a divider between them.
 * @param {Layer[]} layers What is drawn, the last on top.
 * @param {string} title
 * @param {string[]} values
 * @returns {Pane}
 */
export function makePane(layers, title, values) {
  const canvas = make("canvas", { role: "img", "aria-label": [title, ...values].join(", ") });
  const frame = make("div", { class: "frame" }, canvas);
  const caption = make("figcaption", {}, ...captionOf(title, values));
  return { root: make("figure", { class: "pane" }, frame, caption), frame, canvas, caption, layers };
}

/**
 * @param {HTMLElement} handle
 * @param {number} share Where the divider is, 0 at the left and 1 at the right.
 */
function placeDivider(handle, share) {
  divider = Math.max(0, Math.min(1, share));
  handle.style.left = `${divider * 100}%`;
  handle.setAttribute("aria-valuenow", String(Math.round(divider * 100)));
  redraw();
}

/**
 * @param {HTMLElement} handle
 * @param {HTMLElement} frame
 */
function followPointer(handle, frame) {
  handle.addEventListener("pointerdown", (event) => {
    handle.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  handle.addEventListener("pointermove", (event) => {
    if (!handle.hasPointerCapture(event.pointerId)) return;
    const box = frame.getBoundingClientRect();
    placeDivider(handle, (event.clientX - box.left) / box.width);
  });
}

/** @param {HTMLElement} handle */
function followKeys(handle) {
  handle.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    placeDivider(handle, divider + step);
  });
}

/**
 * Add the handle that moves the divider.
 * @param {HTMLElement} frame
 */
export function addHandle(frame) {
  const handle = make("div", {
    class: "handle",
    role: "slider",
    tabindex: "0",
    "aria-label": "Divider between A and B",
    "aria-valuemin": "0",
    "aria-valuemax": "100",
  });
  followPointer(handle, frame);
  followKeys(handle);
  frame.append(handle);
  placeDivider(handle, divider);
}

/**
 * Draw the part of a layer that is in the view.
 * @param {CanvasRenderingContext2D} context
 * @param {Layer} layer
 */
function paintLayer(context, layer) {
  const { width, height } = context.canvas;
  const scale = (width / layer.width) * view.seen.zoom;
  const left = width / 2 - view.seen.x * layer.width * scale;
  const top = height / 2 - view.seen.y * layer.height * scale;
  context.imageSmoothingEnabled = scale < 2;
  context.imageSmoothingQuality = "high";
  context.setTransform(scale, 0, 0, scale, left, top);
  context.drawImage(layer, 0, 0);
}

/** @param {Pane} pane */
function paint({ canvas, layers }) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (!width || !height) return;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = contextOf(canvas);
  layers.forEach((layer, index) => {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.save();
    if (index > 0) {
      context.beginPath();
      context.rect(0, 0, width * divider, height);
      context.clip();
    }
    paintLayer(context, layer);
    context.restore();
  });
}

/** Draw all panes before the next frame, once however often this is called until then. */
export function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    root().classList.toggle("zoomed", view.seen.zoom > 1);
    panes.forEach(paint);
  });
}

// As many columns as make the tiles largest while all of them can be seen at once; full rows are worth a little.
function tile() {
  const [gap, caption, smallest] = [14, 52, 140];
  const stage = root();
  const aspect = Number(byId("viewer", HTMLElement).style.getPropertyValue("--aspect"));
  let best = { worth: 0, size: 0, columns: 1 };
  for (let columns = 1; columns <= panes.length; columns += 1) {
    const rows = Math.ceil(panes.length / columns);
    const across = (stage.clientWidth - gap * (columns - 1)) / columns;
    const down = (0.8 * innerHeight) / rows - caption;
    const size = Math.min(across, Math.max(down * aspect, smallest));
    const worth = size * (1 + panes.length / (columns * rows));
    if (worth > best.worth) best = { worth, size, columns };
  }
  stage.style.setProperty("--tile", `${Math.floor(best.size)}px`);
  stage.style.setProperty("--columns", String(best.columns));
}

/**
 * Put panes on the stage. The old ones stay until these are ready, so that nothing blinks.
 * @param {string} mode
 * @param {number} aspect Width of the pictures, divided by their height.
 * @param {Pane[]} list
 */
export function show(mode, aspect, list) {
  panes = list;
  root().dataset.mode = mode;
  byId("viewer", HTMLElement).style.setProperty("--aspect", String(aspect));
  root().replaceChildren(...list.map((pane) => pane.root));
  tile();
  redraw();
}

/**
 * Return how many pixels of the page one pixel of the pictures takes.
 * @returns {number}
 */
export function scale() {
  if (!panes.length) return 1;
  const [{ canvas, layers }] = panes;
  return (canvas.clientWidth / layers[0].width) * view.seen.zoom;
}

export function start() {
  const resized = () => {
    tile();
    redraw();
  };
  new ResizeObserver(resized).observe(root());
}
