// Values: numbers as texts and back, in which order they come, and which texts match a search.

/**
 * Return a score as a number; see StoredScore.
 * @param {StoredScore} value
 * @returns {number | null}
 */
export function fromStored(value) {
  if (value === "inf") return Infinity;
  if (value === "-inf") return -Infinity;
  return value;
}

/**
 * Return a value as the page shows it, at the digits of its metric.
 * @param {number | null} value
 * @param {Metric} metric
 * @returns {string}
 */
export function toText(value, metric) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return value.toFixed(metric.digits);
}

/**
 * Return the number that a text of `toText` stands for.
 * @param {string} text
 * @returns {number}
 */
export const fromText = (text) => Number(text.replace("−", "-").replace("∞", "Infinity"));

/** @param {number | string | null} value */
const isMissing = (value) => value === null || value === "" || Number.isNaN(value);

/**
 * Compare two values for `sort`; missing ones come last in both directions.
 * @param {number | string | null} one
 * @param {number | string | null} other
 * @param {number} sign 1 for ascending order, -1 for descending order.
 * @returns {number}
 */
export function compare(one, other, sign) {
  if (isMissing(one) || isMissing(other)) return Number(isMissing(one)) - Number(isMissing(other));
  if (typeof one !== "number" || typeof other !== "number") {
    return sign * String(one).localeCompare(String(other), undefined, { numeric: true });
  }
  if (one === other) return 0; // two infinities have no difference
  return one < other ? -sign : sign;
}

/**
 * Return whether a text contains what was typed, in upper or lower case.
 * @param {string} text
 * @param {string} typed
 * @returns {boolean}
 */
export const contains = (text, typed) => text.toLowerCase().includes(typed.trim().toLowerCase());
