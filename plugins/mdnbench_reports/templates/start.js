// Start the page: first the tables and charts, then the pictures.
import * as charts from "./charts.js";
import * as matrix from "./matrix.js";
import * as tables from "./tables.js";
import * as theme from "./theme.js";
import * as viewer from "./viewer.js";

/** @type {NodeListOf<HTMLAnchorElement>} */
const links = document.querySelectorAll(".bar nav a");

/**
 * Mark the link of the section that is being read.
 * @param {IntersectionObserverEntry[]} entries
 */
function markLink(entries) {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    for (const link of links) link.setAttribute("aria-current", String(link.hash === `#${entry.target.id}`));
  }
}

theme.start();
tables.start();
charts.start();
matrix.start();
const headings = new IntersectionObserver(markLink, { rootMargin: "-20% 0px -70% 0px" });
for (const section of document.querySelectorAll("main > section")) headings.observe(section);
viewer.start(matrix.mark).then(() => {
  document.documentElement.dataset.ready = "true";
});
