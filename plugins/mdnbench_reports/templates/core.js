"use strict";
// What every part of the page uses: the data of the run, elements by id, and making elements without markup.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => make("option", { value }, text)));
  select.value = String(chosen);
}

// JSON has no infinity: the page writes it as text.
const number = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);

const parsed = (text) => Number(text.replace("−", "-").replace("∞", "Infinity"));

function shown(value, metric) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return value.toFixed(metric.digits);
}

// Compares values, absent ones last whatever the direction.
function order(one, other, sign) {
  const lost = (value) => value === null || value === "" || Number.isNaN(value);
  if (lost(one) || lost(other)) return lost(one) - lost(other);
  if (typeof one === "number" && typeof other === "number") return one === other ? 0 : one < other ? -sign : sign;
  return sign * String(one).localeCompare(String(other), undefined, { numeric: true });
}

const said = (needle, text) => text.toLowerCase().includes(needle.trim().toLowerCase());
