// Charts: one metric at a time, and what a mark stands for beside the pointer.
{
  const buttons = [...(byId("charts-metric")?.children ?? [])];
  const figures = document.querySelectorAll("#charts figure[data-metric]");

  function choose(metric) {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.metric === metric));
    for (const figure of figures) figure.hidden = figure.dataset.metric !== metric;
  }

  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.metric));
  if (buttons.length) choose(buttons[0].dataset.metric);

  const tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
  document.body.append(tip);
  document.querySelector(".charts")?.closest("section").addEventListener("pointermove", (event) => {
    const mark = event.target.closest("svg [aria-label]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.getAttribute("aria-label");
    const room = innerWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, room))}px`;
    tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 10)}px`;
  });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
}
