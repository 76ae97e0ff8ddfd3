// Scenes: what can be looked at. The source of a picture is `clean`, `noisy`, or a method by its index.
import { report, scoreOf } from "./data.js";
import { toText } from "./values.js";

/** @type {Map<string, Scene>} */
const byShot = new Map();
for (const scene of report.scenes) byShot.set(`${scene.noise}:${scene.shot}`, scene);

/**
 * Return the scene of a shot, if the page has pictures of it.
 * @param {number} noise
 * @param {number} shot
 * @returns {Scene | undefined}
 */
export const find = (noise, shot) => byShot.get(`${noise}:${shot}`);

/**
 * Return the scenes of a noise.
 * @param {number} noise
 * @returns {Scene[]}
 */
export const under = (noise) => report.scenes.filter((scene) => scene.noise === noise);

/**
 * Return whether the page has the picture that a method made.
 * @param {number} noise
 * @param {number} shot
 * @param {number} method
 * @returns {boolean}
 */
export const has = (noise, shot, method) => find(noise, shot)?.pictures[method] !== undefined;

/** @param {string} source */
const isMethod = (source) => source !== "clean" && source !== "noisy";

/**
 * Return the name of a source.
 * @param {string} source
 * @returns {string}
 */
export const title = (source) => (isMethod(source) ? report.methods[Number(source)] : source);

/**
 * Return the sources of a scene, best method first; a method that returns the noisy image is not shown twice.
 * @param {Scene} scene
 * @returns {string[]}
 */
export function sources({ noise, pictures }) {
  const methods = report.ranks[noise].map(String).filter((method) => pictures[method] !== pictures.noisy);
  return ["clean", "noisy", ...methods].filter((source) => pictures[source] !== undefined);
}

/**
 * Return the method whose scores a source has; the noisy image has those of a method that returns it.
 * @param {Scene} scene
 * @param {string} source
 * @returns {number | undefined}
 */
function methodOf({ noise, pictures }, source) {
  if (isMethod(source)) return Number(source);
  if (source === "clean") return undefined;
  return report.ranks[noise].find((method) => pictures[method] === pictures.noisy);
}

/**
 * Return the scores of a source, as texts: with their unit, or without one with the name of the metric.
 * @param {Scene} scene
 * @param {string} source
 * @returns {string[]}
 */
export function scores(scene, source) {
  const method = methodOf(scene, source);
  const place = report.places[scene.noise].indexOf(scene.shot);
  if (method === undefined || place < 0) return [];
  const texts = report.metrics.map((metric, index) => {
    const score = scoreOf(index, scene.noise, place, method);
    if (score === null || metric.name === "seconds") return "";
    const text = toText(score, metric);
    return metric.unit ? `${text} ${metric.unit}` : `${metric.name.toUpperCase()} ${text}`;
  });
  return texts.filter((text) => text !== "");
}

/**
 * Return the name of a scene among those of its noise.
 * @param {Scene} scene
 * @returns {string}
 */
export function label(scene) {
  const [image, seed] = report.shots[scene.shot];
  return image + (report.seeds > 1 ? ` · seed ${seed}` : "") + (scene.box ? " (cut)" : "");
}
