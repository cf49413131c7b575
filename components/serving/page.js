"use strict";
const QUANTILES = 41, WIDTH = 640, HEIGHT = 150, BASE = 120;
const at = id => document.getElementById(id);
const number = value => Number(value).toLocaleString("en-US", { maximumFractionDigits: 2 });
const share = value => (100 * value).toFixed(0) + "%";
let tab = "predict", answered = null, unit = "", names = null;
const measured = value => (number(value) + " " + unit).trim();

// --- asking

async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (at("token").value) headers.Authorization = "Bearer " + at("token").value;
  const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  if (answer.status === 401) at("door").hidden = false;
  if (!answer.ok) throw new Error((await answer.json()).message);
  return answer;
}

async function told(work) {
  try {
    at("note").textContent = "";
    await work();
  } catch (error) {
    at("note").textContent = error.message;
  }
}

async function record() {
  const version = await (await ask("/version")).json();
  unit = version.unit;
  names = version.names ?? null;
  if (names) forLabels();
  if (version.question) document.title = at("question").textContent = version.question;
  const column = version.inputs.find(input => input.type === "string");
  return [version, { [column.name]: at("text").value }];
}

async function predict() {
  const [version, asked] = await record();
  const known = version.params.some(param => param.name === "quantiles");
  const answer = await ask("/predict" + (known ? "?quantiles=" + QUANTILES : ""), asked);
  const body = await answer.json(), row = body.answers[0];
  answered = { key: answer.headers.get("X-Request-Key"), value: row.value };
  if (names) label(row, version.coverage);
  else numbered(row);
  at("version").textContent = body.model + " version " + body.version;
  at("words").replaceChildren();
  at("near").replaceChildren();
  at("answer").hidden = false;
  await Promise.all([words(asked), nearest(asked)]);
}

function numbered(row) {
  at("value-answered").textContent = measured(row.value);
  at("range").textContent = "Between " + number(row.low) + " and " + measured(row.high) + "."
    + (row.quantiles ? "" : " This version does not say how it is spread between.");
  at("picture").replaceChildren(picture(row));
}

function label(row, coverage) {
  at("value-answered").textContent = row.value;
  at("range").textContent = "Probability " + share(row.probability) + ". With " + share(coverage)
    + " it is one of: " + row.labels.join(", ") + ".";
}

function forLabels() {
  at("value").inputMode = "text";
  at("low").textContent = "Probability";
  at("high").textContent = "One of";
  at("names").replaceChildren(...names.map(name => new Option(name, name)));
}

async function words(asked) {
  const body = await (await ask("/words", asked)).json();
  const largest = Math.max(0, ...body.words.map(word => Math.abs(word.effect)));
  at("words").replaceChildren(...body.words.map(({ word, effect }) => {
    const item = document.createElement("li"), small = document.createElement("small");
    if (largest && Math.abs(effect) >= largest / 4) item.className = effect > 0 ? "up" : "down";
    small.textContent = effect ? (effect > 0 ? " +" : " −") + number(Math.abs(effect)) : "";
    item.append(word, small);
    return item;
  }));
}

async function nearest(asked) {
  let listings = [], why = "None shares a word with it.";
  try {
    listings = (await (await ask("/nearest", asked)).json()).listings;
  } catch (error) {
    why = error.message;
  }
  at("near").replaceChildren(...listings.map(({ title, value }) => {
    const item = document.createElement("li"), strong = document.createElement("strong");
    strong.textContent = names ? value : number(value);
    item.append(title + " ", strong);
    return item;
  }));
  at("unknown").textContent = why;
  at("unknown").hidden = listings.length > 0;
}

async function compare() {
  const [, asked] = await record();
  const both = await (await ask("/compare", asked)).json();
  at("both").replaceChildren(...["champion", "challenger"].filter(alias => both[alias]).map(alias => {
    const line = document.createElement("tr"), { version, answer } = both[alias];
    const figures = names ? [answer.value, share(answer.probability), answer.labels.join(", ")]
      : [answer.value, answer.low, answer.high].map(number);
    const cells = [alias + ", version " + version, ...figures];
    line.append(...cells.map(text => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }));
    return line;
  }));
  at("both").parentElement.hidden = false;
  if (!both.challenger) at("note").textContent = "No challenger is loaded: serve.shadow or serve.canary loads it.";
}

async function truth(value) {
  await ask("/truth", { key: answered.key, row: 0, value });
  at("note").textContent = "Kept. Thank you.";
}

function numberOf(text) {
  const value = Number(text.replace(/[,\s]/g, "").replace(/^[^\d.-]+|[^\d.]+$/g, "") || NaN);
  if (!Number.isFinite(value)) throw new Error("That is no number: write it in digits, as 49.90.");
  return value;
}

function labelOf(text) {
  if (!names.includes(text)) throw new Error("That is none of the labels: " + names.join(", ") + ".");
  return text;
}

// --- the picture

function shape(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function picture(row) {
  const values = row.quantiles ?? [];
  const left = Math.min(row.low, ...values), right = Math.max(row.high, ...values), span = right - left || 1;
  const x = value => 10 + (value - left) / span * (WIDTH - 20);
  const drawing = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  drawing.setAttribute("aria-label",
    `${measured(row.value)}, from ${number(row.low)} to ${number(row.high)}`);
  // between two quantiles lies the same share: the closer they are, the higher the density
  const gaps = values.slice(1).map((value, place) => [values[place], Math.max(value - values[place], span / 200)]);
  const highest = Math.max(0, ...gaps.map(([, width]) => 1 / width));
  for (const [start, width] of gaps) {
    const height = (BASE - 15) / width / highest;
    drawing.append(shape("rect", { class: "density", x: x(start), y: BASE - height,
      width: Math.max(x(start + width) - x(start), 1), height }));
  }
  drawing.append(shape("rect", { class: "interval", x: x(row.low), y: BASE, height: 6,
    width: Math.max(x(row.high) - x(row.low), 2) }));
  drawing.append(shape("line", { class: "point", x1: x(row.value), x2: x(row.value), y1: 5, y2: BASE + 6 }));
  for (const [value, anchor] of [[left, "start"], [right, "end"]]) {
    const label = shape("text", { x: x(value), y: HEIGHT - 5, "text-anchor": anchor });
    label.textContent = number(value);
    drawing.append(label);
  }
  return drawing;
}

// --- tabs, buttons and keys

function choose(name) {
  tab = name;
  for (const other of ["predict", "compare"]) {
    at("tab-" + other).setAttribute("aria-selected", other === name);
    at("tab-" + other).tabIndex = other === name ? 0 : -1;
    at("panel-" + other).hidden = other !== name;
  }
  at("note").textContent = "";
}

for (const name of ["predict", "compare"]) {
  at("tab-" + name).onclick = () => choose(name);
  at("tab-" + name).onkeydown = event => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    choose(tab === "predict" ? "compare" : "predict");
    at("tab-" + tab).focus();
  };
}
at("form").onsubmit = event => {
  event.preventDefault();
  told(tab === "predict" ? predict : compare);
};
at("text").onkeydown = event => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) at("form").requestSubmit();
};
at("right").onclick = () => told(() => truth(answered.value));
at("truth").onsubmit = event => {
  event.preventDefault();
  told(async () => {
    await truth(names ? labelOf(at("value").value.trim()) : numberOf(at("value").value));
    at("value").value = "";
  });
};
at("card").onclick = event => {
  if (!at("token").value) return;
  event.preventDefault();
  told(async () => {
    const text = await (await ask("/card")).text();
    open(URL.createObjectURL(new Blob([text], { type: "text/plain" })));
  });
};

told(record);
