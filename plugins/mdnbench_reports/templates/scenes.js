// Scenes: what there is to look at. A source is `clean`, `noisy`, or a method by its index.
const scenes = (() => {
  const byPlace = new Map(data.scenes.map((scene) => [`${scene.noise}:${scene.shot}`, scene]));
  const find = (noise, shot) => byPlace.get(`${noise}:${shot}`);
  const under = (noise) => data.scenes.filter((scene) => scene.noise === noise);
  const has = (noise, shot, method) => find(noise, shot)?.pictures[method] !== undefined;
  const title = (source) => (/^\d+$/.test(source) ? data.methods[source] : source);

  // The sources of a scene, best method first; a method that gives the noisy image back is not shown twice.
  function sources(scene) {
    const methods = data.ranks[scene.noise].map(String).filter((method) => scene.pictures[method] !== undefined);
    const own = methods.filter((method) => scene.pictures[method] !== scene.pictures.noisy);
    return ["clean", "noisy"].filter((source) => scene.pictures[source] !== undefined).concat(own);
  }

  // The method whose values a source has: the noisy image's are those of a method that gives it back.
  function methodOf(scene, source) {
    if (source !== "noisy") return /^\d+$/.test(source) ? Number(source) : undefined;
    return data.ranks[scene.noise].find((method) => scene.pictures[method] === scene.pictures.noisy);
  }

  // The values of a source by every metric, as texts: with their unit, or else with the metric's name.
  function values(scene, source) {
    const method = methodOf(scene, source);
    const place = data.places[scene.noise].indexOf(scene.shot);
    if (method === undefined || place < 0) return [];
    const text = (metric, which) => {
      const value = matrix.valueAt(place, method, which, scene.noise);
      if (value === null || metric.name === "seconds") return "";
      return metric.unit ? `${shown(value, metric)} ${metric.unit}` : `${metric.name.toUpperCase()} ${shown(value, metric)}`;
    };
    return data.metrics.map(text).filter(Boolean);
  }

  function label(scene) {
    const [image, seed] = data.shots[scene.shot];
    return image + (data.seeds > 1 ? ` · seed ${seed}` : "") + (scene.box ? " (cut)" : "");
  }

  return { find, under, has, sources, title, values, label };
})();
