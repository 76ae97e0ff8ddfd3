// The view: which part of the pictures is seen. All panes share it; pointers, wheel and keys change it.
const view = (() => {
  const LARGEST = 32;
  const seen = { zoom: 1, x: 0.5, y: 0.5 };
  const pointers = new Map();
  let changed = () => {};

  function settle() {
    seen.zoom = Math.max(1, Math.min(LARGEST, seen.zoom));
    const half = 0.5 / seen.zoom;
    seen.x = Math.max(half, Math.min(1 - half, seen.x));
    seen.y = Math.max(half, Math.min(1 - half, seen.y));
    changed();
  }

  // Zoom, keeping what lies at (across, down) of the pane, both 0 to 1, where it is.
  function zoomTo(zoom, across = 0.5, down = 0.5) {
    const to = Math.max(1, Math.min(LARGEST, zoom));
    seen.x += (across - 0.5) / seen.zoom - (across - 0.5) / to;
    seen.y += (down - 0.5) / seen.zoom - (down - 0.5) / to;
    seen.zoom = to;
    settle();
  }

  const zoomBy = (factor, across, down) => zoomTo(seen.zoom * factor, across, down);

  function pan(across, down) {
    seen.x += across / seen.zoom;
    seen.y += down / seen.zoom;
    settle();
  }

  function fit() {
    Object.assign(seen, { zoom: 1, x: 0.5, y: 0.5 });
    settle();
  }

  // Where an event lies in a canvas, 0 to 1 both ways.
  function within(canvas, event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  // Which point of the picture lies at (across, down) of a pane, 0 to 1 both ways.
  const pointAt = (across, down) => [seen.x + (across - 0.5) / seen.zoom, seen.y + (down - 0.5) / seen.zoom];

  function pinch(canvas, moved) {
    const [one, other] = [...pointers.values()];
    const before = Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    pointers.set(moved.pointerId, moved);
    const [first, second] = [...pointers.values()];
    const after = Math.hypot(first.clientX - second.clientX, first.clientY - second.clientY);
    const middle = { clientX: (first.clientX + second.clientX) / 2, clientY: (first.clientY + second.clientY) / 2 };
    if (before > 0) zoomBy(after / before, ...within(canvas, middle));
  }

  function move(canvas, event) {
    const last = pointers.get(event.pointerId);
    if (pointers.size === 2) return pinch(canvas, event);
    const box = canvas.getBoundingClientRect();
    pointers.set(event.pointerId, event);
    return pan((last.clientX - event.clientX) / box.width, (last.clientY - event.clientY) / box.height);
  }

  function listen(stage, redraw) {
    changed = redraw;
    stage.addEventListener("pointerdown", (event) => {
      if (event.target.tagName !== "CANVAS" || event.button) return;
      pointers.set(event.pointerId, event);
      event.target.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (pointers.has(event.pointerId)) move(event.target, event);
    });
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => pointers.delete(event.pointerId));
    stage.addEventListener("dblclick", (event) => {
      if (event.target.tagName === "CANVAS") zoomBy(event.shiftKey ? 0.5 : 2, ...within(event.target, event));
    });
    stage.addEventListener("wheel", (event) => {
      const canvas = event.target.closest("canvas");
      if (!canvas || !(event.ctrlKey || stage.contains(document.activeElement))) return;
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.002)), ...within(canvas, event));
    }, { passive: false });
  }

  return { seen, zoomTo, zoomBy, pan, fit, within, pointAt, listen };
})();
