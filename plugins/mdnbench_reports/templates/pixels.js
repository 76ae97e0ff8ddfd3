// Pictures: decoded when they are first wanted, their levels read for errors and for the pixel under the pointer.
const pixels = (() => {
  const MOST = 96;
  const bitmaps = new Map();
  const kept = new Map();
  const errors = new Map();

  function remember(cache, key, value) {
    cache.delete(key);
    cache.set(key, value);
    if (cache.size > MOST) cache.delete(cache.keys().next().value);
    return value;
  }

  async function decode(id) {
    const bytes = Uint8Array.from(atob(byId(`p${id}`).textContent), (letter) => letter.charCodeAt(0));
    return createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
  }

  // The picture of this number, a promise of an ImageBitmap.
  const bitmap = (id) => remember(bitmaps, id, bitmaps.get(id) ?? decode(id));

  function surface(width, height) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    return canvas;
  }

  // The levels of a decoded picture, RGBA; kept, because errors and read-outs ask again.
  function levels(id, image) {
    if (kept.has(id)) return remember(kept, id, kept.get(id));
    const canvas = surface(image.width, image.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    return remember(kept, id, context.getImageData(0, 0, image.width, image.height).data);
  }

  // The page's colours for an error below and above zero, and for none, as red, green and blue.
  function palette() {
    const probe = make("span");
    Object.assign(probe.style, {
      color: "light-dark(#ffffff, #101113)",
      backgroundColor: "light-dark(#1f5fae, #6fb1ff)",
      outlineColor: "light-dark(#b5331d, #ff8266)",
    });
    document.body.append(probe);
    const { color, backgroundColor, outlineColor } = getComputedStyle(probe);
    const found = [color, backgroundColor, outlineColor].map((text) => text.match(/[\d.]+/g).slice(0, 3).map(Number));
    probe.remove();
    return found;
  }

  // Error colours, 511 of them: too dark is blue, too bright is red, right is the paper itself.
  function scale() {
    const [paper, low, high] = palette();
    const mix = (end, share) => paper.map((from, channel) => from + (end[channel] - from) * share);
    return Array.from({ length: 511 }, (_, index) => mix(index < 255 ? low : high, Math.abs(index - 255) / 255));
  }
  let colours = scale();

  // The signed error of a picture against the clean one, as a canvas; channels are averaged.
  function error(id, image, cleanId, clean, gain) {
    const key = `${id}:${cleanId}:${gain}`;
    if (errors.has(key)) return remember(errors, key, errors.get(key));
    const canvas = surface(image.width, image.height);
    const context = canvas.getContext("2d");
    const result = context.createImageData(image.width, image.height);
    const [one, other] = [levels(id, image), levels(cleanId, clean)];
    for (let at = 0; at < one.length; at += 4) {
      const difference = (one[at] - other[at] + one[at + 1] - other[at + 1] + one[at + 2] - other[at + 2]) / 3;
      const mixed = colours[255 + Math.max(-255, Math.min(255, Math.round(difference * gain)))];
      result.data[at] = mixed[0];
      result.data[at + 1] = mixed[1];
      result.data[at + 2] = mixed[2];
      result.data[at + 3] = 255;
    }
    context.putImageData(result, 0, 0);
    return remember(errors, key, canvas);
  }

  function legend(canvas) {
    const context = canvas.getContext("2d");
    for (let x = 0; x < canvas.width; x += 1) {
      const [red, green, blue] = colours[Math.round((x / (canvas.width - 1)) * 510)];
      context.fillStyle = `rgb(${red} ${green} ${blue})`;
      context.fillRect(x, 0, 1, 1);
    }
  }

  document.addEventListener("theme", () => {
    colours = scale();
    errors.clear();
  });

  return { bitmap, levels, error, legend };
})();
