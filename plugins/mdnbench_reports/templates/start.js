// Begin: first what is read, then what is looked at.
{
  const headings = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of document.querySelectorAll(".bar nav a")) {
        link.setAttribute("aria-current", String(link.hash === `#${entry.target.id}`));
      }
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  for (const section of document.querySelectorAll("main > section")) headings.observe(section);
  matrix.start();
  Promise.resolve(viewer.start()).then(() => { document.documentElement.dataset.ready = "true"; });
}
