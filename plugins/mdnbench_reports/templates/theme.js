// Light or dark: as the system is set until the button is pressed, then as chosen, if the browser can store the choice.
import { byId } from "./elements.js";

const STORED_AS = "mdnbench-theme";
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

// A browser that stores nothing for a file throws an error; the page then works without a stored choice.
function read() {
  try {
    const stored = localStorage.getItem(STORED_AS);
    if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  } catch {}
}

/** @param {string} theme */
function write(theme) {
  try {
    localStorage.setItem(STORED_AS, theme);
  } catch {}
}

// The button names the theme that it switches to; what is drawn in the colours of the page listens for the event.
function announce() {
  byId("theme", HTMLButtonElement).textContent = isDark() ? "Light" : "Dark";
  document.dispatchEvent(new Event("theme"));
}

function toggle() {
  const theme = isDark() ? "light" : "dark";
  root.dataset.theme = theme;
  write(theme);
  announce();
}

export function start() {
  read();
  byId("theme", HTMLButtonElement).addEventListener("click", toggle);
  system.addEventListener("change", announce);
  announce();
}
