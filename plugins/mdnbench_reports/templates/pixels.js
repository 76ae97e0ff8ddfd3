// Pictures: decoded when they are first needed, and their levels, for errors and for the pixel at the pointer.
import { byId, contextOf, make } from "./elements.js";

const MOST_CACHED = 96;

/** @type {Map<number, Promise<ImageBitmap>>} */
const bitmaps = new Map();

/** @type {Map<number, Uint8ClampedArray>} */
const levelsOf = new Map();

/** @type {Map<string, HTMLCanvasElement>} */
const errors = new Map();

/**
 * Colours of the errors from -255 to 255; empty until they are needed, and after a change of theme.
 * @type {Colour[]}
 */
let colours = [];

/**
 * Return a cache's value under a key, made now if it is missing; a full cache drops the value used longest ago.
 * @template Key, Value
 * @param {Map<Key, Value>} cache
 * @param {Key} key
 * @param {() => Value} compute
 * @returns {Value}
 */
function cached(cache, key, compute) {
  const value = cache.get(key) ?? compute();
  cache.delete(key);
  cache.set(key, value);
  if (cache.size > MOST_CACHED) {
    const [oldest] = cache.keys();
    cache.delete(oldest);
  }
  return value;
}

/** @param {number} id */
async function decode(id) {
  const text = byId(`p${id}`, HTMLScriptElement).text;
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
}

/**
 * Return a picture of the page.
 * @param {number} id
 * @returns {Promise<ImageBitmap>}
 */
export const bitmap = (id) => cached(bitmaps, id, () => decode(id));

/**
 * @param {number} width
 * @param {number} height
 */
function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

/** @param {ImageBitmap} image */
function read(image) {
  const context = contextOf(canvasOf(image.width, image.height), { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height).data;
}

/**
 * Return the levels of a decoded picture: red, green, blue and opacity of each pixel, row by row.
 * @param {number} id
 * @param {ImageBitmap} image
 * @returns {Uint8ClampedArray}
 */
export const levels = (id, image) => cached(levelsOf, id, () => read(image));

/**
 * Return the red, green and blue of a computed colour.
 * @param {string} text
 * @returns {Colour}
 */
function parse(text) {
  const [red, green, blue] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [red, green, blue];
}

/**
 * Return the colours of no error, of the largest error below zero, and of the largest above zero, in this theme.
 * @returns {Colour[]}
 */
function endColours() {
  const probe = make("span");
  Object.assign(probe.style, {
    color: "light-dark(#ffffff, #101113)",
    backgroundColor: "light-dark(#1f5fae, #6fb1ff)",
    outlineColor: "light-dark(#b5331d, #ff8266)",
  });
  document.body.append(probe);
  const { color, backgroundColor, outlineColor } = getComputedStyle(probe);
  const found = [color, backgroundColor, outlineColor].map(parse);
  probe.remove();
  return found;
}

/**
 * @param {Colour} from
 * @param {Colour} to
 * @param {number} share 0 for the one colour, 1 for the other.
 * @returns {Colour}
 */
function mix(from, to, share) {
  const channel = (/** @type {number} */ index) => from[index] + (to[index] - from[index]) * share;
  return [channel(0), channel(1), channel(2)];
}

/**
 * Return the colour of an error: blue for too dark, red for too bright, that of the page for none.
 * @param {number} error In levels; what is beyond -255 or 255 has the colour of these.
 * @returns {Colour}
 */
function colourOf(error) {
  if (!colours.length) {
    const [none, below, above] = endColours();
    for (let level = -255; level <= 255; level += 1) {
      colours.push(mix(none, level < 0 ? below : above, Math.abs(level) / 255));
    }
  }
  return colours[255 + Math.max(-255, Math.min(255, Math.round(error)))];
}

/**
 * Draw the error of each pixel in its colour; the channels are averaged.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8ClampedArray} one
 * @param {Uint8ClampedArray} clean
 * @param {number} gain
 */
function drawError(canvas, one, clean, gain) {
  const context = contextOf(canvas);
  const result = context.createImageData(canvas.width, canvas.height);
  for (let at = 0; at < one.length; at += 4) {
    const sum = one[at] - clean[at] + one[at + 1] - clean[at + 1] + one[at + 2] - clean[at + 2];
    const colour = colourOf((sum / 3) * gain);
    result.data[at] = colour[0];
    result.data[at + 1] = colour[1];
    result.data[at + 2] = colour[2];
    result.data[at + 3] = 255;
  }
  context.putImageData(result, 0, 0);
  return canvas;
}

/**
 * Return the signed error of a picture against the clean one.
 * @param {number} id
 * @param {ImageBitmap} image
 * @param {number} cleanId
 * @param {ImageBitmap} clean
 * @param {number} gain By what the error is multiplied.
 * @returns {HTMLCanvasElement}
 */
export function error(id, image, cleanId, clean, gain) {
  return cached(errors, `${id}:${cleanId}:${gain}`, () =>
    drawError(canvasOf(image.width, image.height), levels(id, image), levels(cleanId, clean), gain),
  );
}

/**
 * Draw the colours of the errors from -255 to 255, from left to right.
 * @param {HTMLCanvasElement} canvas
 */
export function drawLegend(canvas) {
  const context = contextOf(canvas);
  for (let x = 0; x < canvas.width; x += 1) {
    const [red, green, blue] = colourOf((x / (canvas.width - 1)) * 510 - 255);
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(x, 0, 1, 1);
  }
}

export function start() {
  document.addEventListener("theme", () => {
    colours = [];
    errors.clear();
  });
}
