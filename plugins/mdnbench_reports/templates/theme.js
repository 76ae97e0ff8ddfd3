// Light and dark: as the system says until the button is pressed; then remembered where the browser allows it.
{
  const root = document.documentElement;
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const name = () => {
    button.textContent = dark() ? "Light" : "Dark";
    document.dispatchEvent(new Event("theme"));
  };
  try {
    const kept = localStorage.getItem("mdnbench-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* no storage for files here */ }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("mdnbench-theme", root.dataset.theme); } catch { /* as above */ }
    name();
  });
  system.addEventListener("change", name);
  name();
}
