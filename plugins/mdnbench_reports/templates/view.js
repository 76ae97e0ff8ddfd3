// The view: which part of the pictures is seen. All panes share it; pointers, wheel and keys change it.
import { closest } from "./elements.js";

const LARGEST_ZOOM = 32;

/** How much the pictures are enlarged, and the point in the middle of each pane, 0 to 1 both ways. */
export const seen = { zoom: 1, x: 0.5, y: 0.5 };

/**
 * The last event of each pointer that is pressed.
 * @type {Map<number, PointerEvent>}
 */
const pointers = new Map();

/** @type {() => void} */
let redraw = () => {};

/** @param {number} zoom */
const allowed = (zoom) => Math.max(1, Math.min(LARGEST_ZOOM, zoom));

// Keep the view inside the picture, and draw.
function settle() {
  seen.zoom = allowed(seen.zoom);
  const half = 0.5 / seen.zoom;
  seen.x = Math.max(half, Math.min(1 - half, seen.x));
  seen.y = Math.max(half, Math.min(1 - half, seen.y));
  redraw();
}

/**
 * Multiply the zoom; the point at (across, down) of a pane, 0 to 1 both ways, stays where it is.
 * @param {number} factor
 * @param {number} across
 * @param {number} down
 */
export function zoomBy(factor, across = 0.5, down = 0.5) {
  const zoom = allowed(seen.zoom * factor);
  seen.x += (across - 0.5) / seen.zoom - (across - 0.5) / zoom;
  seen.y += (down - 0.5) / seen.zoom - (down - 0.5) / zoom;
  seen.zoom = zoom;
  settle();
}

/**
 * Move the view by a part of a pane.
 * @param {number} across
 * @param {number} down
 */
export function pan(across, down) {
  seen.x += across / seen.zoom;
  seen.y += down / seen.zoom;
  settle();
}

/** Show the whole picture. */
export function fit() {
  Object.assign(seen, { zoom: 1, x: 0.5, y: 0.5 });
  settle();
}

/**
 * Return the place of a pointer in a canvas, 0 to 1 both ways.
 * @param {HTMLCanvasElement} canvas
 * @param {{ clientX: number, clientY: number }} pointer
 * @returns {[number, number]}
 */
export function within(canvas, pointer) {
  const box = canvas.getBoundingClientRect();
  return [(pointer.clientX - box.left) / box.width, (pointer.clientY - box.top) / box.height];
}

/**
 * Return the point of the picture at (across, down) of a pane, 0 to 1 both ways.
 * @param {number} across
 * @param {number} down
 * @returns {[number, number]}
 */
export function pointAt(across, down) {
  return [seen.x + (across - 0.5) / seen.zoom, seen.y + (down - 0.5) / seen.zoom];
}

// Distance of the two pointers that are pressed, and the middle between them.
function span() {
  const [one, other] = [...pointers.values()];
  return {
    distance: Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY),
    clientX: (one.clientX + other.clientX) / 2,
    clientY: (one.clientY + other.clientY) / 2,
  };
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {PointerEvent} event
 */
function pinch(canvas, event) {
  const before = span();
  pointers.set(event.pointerId, event);
  const after = span();
  if (before.distance > 0) zoomBy(after.distance / before.distance, ...within(canvas, after));
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {PointerEvent} last
 * @param {PointerEvent} event
 */
function drag(canvas, last, event) {
  const box = canvas.getBoundingClientRect();
  pointers.set(event.pointerId, event);
  pan((last.clientX - event.clientX) / box.width, (last.clientY - event.clientY) / box.height);
}

/** @param {PointerEvent} event */
function press(event) {
  if (!(event.target instanceof HTMLCanvasElement) || event.button) return;
  pointers.set(event.pointerId, event);
  event.target.setPointerCapture(event.pointerId);
}

/** @param {PointerEvent} event */
function move(event) {
  const last = pointers.get(event.pointerId);
  if (!last || !(event.target instanceof HTMLCanvasElement)) return;
  if (pointers.size === 2) pinch(event.target, event);
  else drag(event.target, last, event);
}

/** @param {PointerEvent} event */
const release = (event) => pointers.delete(event.pointerId);

/** @param {MouseEvent} event */
function doubleClick(event) {
  if (event.target instanceof HTMLCanvasElement) zoomBy(event.shiftKey ? 0.5 : 2, ...within(event.target, event));
}

/**
 * Zoom, but leave the wheel to the page until the stage has the focus. Touch pads send Ctrl for pinching.
 * @param {HTMLElement} stage
 * @param {WheelEvent} event
 */
function wheel(stage, event) {
  const canvas = closest(event, "canvas", HTMLCanvasElement);
  if (!canvas || !(event.ctrlKey || stage.contains(document.activeElement))) return;
  event.preventDefault();
  zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...within(canvas, event));
}

/**
 * Follow pointers and wheel.
 * @param {HTMLElement} stage The element whose canvases show the view.
 * @param {() => void} changed Called after each change.
 */
export function start(stage, changed) {
  redraw = changed;
  stage.addEventListener("pointerdown", press);
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("dblclick", doubleClick);
  stage.addEventListener("wheel", (event) => wheel(stage, event), { passive: false });
}
