// The data of the run, which Python embeds in the page as JSON.
import { byId } from "./elements.js";
import { fromStored } from "./values.js";

/** @type {ReportData} */
export const report = JSON.parse(byId("data", HTMLScriptElement).text);

/**
 * Return a score, or null when the cell has none.
 * @param {number} metric
 * @param {number} noise
 * @param {number} place Where the shot stands in `report.places[noise]`.
 * @param {number} method
 * @returns {number | null}
 */
export function scoreOf(metric, noise, place, method) {
  return fromStored(report.values[metric][noise][place * report.methods.length + method]);
}
