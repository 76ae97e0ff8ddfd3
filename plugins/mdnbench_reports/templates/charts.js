// Charts: one metric at a time, and a label at the pointer for the mark under it.
import { closest, make } from "./elements.js";

/** @type {NodeListOf<HTMLButtonElement>} */
const buttons = document.querySelectorAll("#charts-metric button");

/** @type {NodeListOf<HTMLElement>} */
const figures = document.querySelectorAll("#charts figure[data-metric]");

/** @param {string | undefined} metric */
function choose(metric) {
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.metric === metric));
  for (const figure of figures) figure.hidden = figure.dataset.metric !== metric;
}

/**
 * Show the label of a mark above the pointer, within the window.
 * @param {HTMLElement} tip
 * @param {PointerEvent} event
 */
function label(tip, event) {
  const mark = closest(event, "svg [aria-label]", SVGElement);
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.getAttribute("aria-label");
  const most = innerWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, most))}px`;
  tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 10)}px`;
}

export function start() {
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.metric));
  if (buttons.length) choose(buttons[0].dataset.metric);

  const tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  document.body.append(tip);
  document.getElementById("charts")?.addEventListener("pointermove", (event) => label(tip, event));
  const hide = () => {
    tip.hidden = true;
  };
  addEventListener("scroll", hide, { passive: true });
}
