// The stage: panes on which the pictures of a scene are drawn, all through the one view.
const stage = (() => {
  const root = byId("stage");
  let panes = [];
  let divider = 0.5;
  let waiting = false;

  // A pane shows one picture, or two with a divider between them; `layers` are what is drawn, the last on top.
  function pane(layers, title, values) {
    const canvas = make("canvas", { role: "img", "aria-label": [title, ...values].join(", ") });
    const frame = make("div", { class: "frame" }, canvas);
    const [first, ...rest] = values;
    const caption = make("figcaption", {}, make("b", {}, title), make("span", {}, first ?? ""), make("span", { class: "rest" }, rest.join(" · ")));
    return { canvas, frame, layers, root: make("figure", { class: "pane" }, frame, caption) };
  }

  function handle(frame) {
    const knob = make("div", {
      class: "handle", role: "slider", tabindex: "0", "aria-label": "Divider between A and B", "aria-valuemin": "0", "aria-valuemax": "100",
    });
    const place = (share) => {
      divider = Math.max(0, Math.min(1, share));
      knob.style.left = `${divider * 100}%`;
      knob.setAttribute("aria-valuenow", String(Math.round(divider * 100)));
      redraw();
    };
    const follow = (event) => {
      const box = frame.getBoundingClientRect();
      place((event.clientX - box.left) / box.width);
    };
    knob.addEventListener("pointerdown", (event) => {
      knob.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    knob.addEventListener("pointermove", (event) => { if (knob.hasPointerCapture(event.pointerId)) follow(event); });
    knob.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02, PageUp: 0.1, PageDown: -0.1, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      place(divider + step);
    });
    frame.append(knob);
    place(divider);
  }

  function paint({ canvas, layers }) {
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (!width || !height) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    layers.forEach((layer, index) => {
      const scale = (width / layer.width) * view.seen.zoom;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.save();
      if (index) {
        context.beginPath();
        context.rect(0, 0, width * divider, height);
        context.clip();
      }
      context.imageSmoothingEnabled = scale < 2;
      context.imageSmoothingQuality = "high";
      context.setTransform(scale, 0, 0, scale, width / 2 - view.seen.x * layer.width * scale, height / 2 - view.seen.y * layer.height * scale);
      context.drawImage(layer, 0, 0);
      context.restore();
    });
  }

  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      root.classList.toggle("zoomed", view.seen.zoom > 1);
      panes.forEach(paint);
    });
  }

  // As many columns as make the tiles largest while all of them can be seen at once; full rows are worth a little.
  function tile() {
    const [gap, caption, smallest] = [14, 52, 140];
    const aspect = Number(byId("viewer").style.getPropertyValue("--aspect"));
    let [most, best] = [0, [0, 1]];
    for (let columns = 1; columns <= panes.length; columns += 1) {
      const across = (root.clientWidth - gap * (columns - 1)) / columns;
      const down = (0.8 * innerHeight) / Math.ceil(panes.length / columns) - caption;
      const size = Math.min(across, Math.max(down * aspect, smallest));
      const filled = panes.length / (columns * Math.ceil(panes.length / columns));
      if (size * (1 + filled) > most) [most, best] = [size * (1 + filled), [size, columns]];
    }
    root.style.setProperty("--tile", `${Math.floor(best[0])}px`);
    root.style.setProperty("--columns", String(best[1]));
  }

  // Put panes on the stage; the old ones stay until these are ready, so that nothing blinks.
  function set(mode, aspect, list) {
    panes = list;
    root.dataset.mode = mode;
    byId("viewer").style.setProperty("--aspect", String(aspect));
    root.replaceChildren(...list.map((each) => each.root));
    tile();
    redraw();
  }

  // How many screen pixels one pixel of the picture takes.
  function scale() {
    const first = panes[0];
    return first ? (first.canvas.clientWidth / first.layers[0].width) * view.seen.zoom : 1;
  }

  if (root) new ResizeObserver(() => { tile(); redraw(); }).observe(root);
  return { root, pane, handle, set, redraw, scale };
})();
