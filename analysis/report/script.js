"use strict";
const SVG = "http://www.w3.org/2000/svg";

/* Sorting: a number where a cell begins with one, else its text; what was not run comes last. */
function key(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = /^[+\-−]?[\d.,]+/.exec(text);
  if (number) return parseFloat(number[0].replace("−", "-").replaceAll(",", ""));
  return text === "-" || text === "not run" ? null : text;
}

function compare(a, b) {
  if (typeof a === typeof b && typeof a === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(button) {
  const header = button.parentElement, table = button.closest("table"), body = table.tBodies[0];
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...body.rows].map((row) => [key(row, header.cellIndex), row]);
  const [known, unknown] = [rows.filter(([k]) => k !== null), rows.filter(([k]) => k === null)];
  known.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
  body.append(...[...known, ...unknown].map(([, row]) => row));
}

/* Histograms: five panels on the same axes, as the paper's figure 2. */
function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function panel(stage, layer) {
  const [width, height, left, top, bottom] = [230, 170, 42, 6, 20];
  const { half, limit } = layer, bins = stage.counts.length;
  const step = (width - left) / bins, scale = (height - top - bottom) / limit;
  const picture = element("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `${stage.name}: ${stage.said}`,
  });
  const bar = (i, from, to, kind) => {
    const [low, high] = [Math.min(from, limit), Math.min(to, limit)];
    if (high > low) picture.append(element("rect", {
      x: left + i * step, y: height - bottom - high * scale,
      width: step + 0.05, height: (high - low) * scale, class: kind,
    }));
  };
  const middle = (bins - 1) / 2; // the exact zeros stand beneath, where a cut leaves them in sight
  stage.counts.forEach((count, i) => {
    const zeros = i === middle ? stage.zeros : 0;
    bar(i, 0, zeros, "zeros");
    bar(i, zeros, zeros + count, "bars");
  });
  const floor = height - bottom;
  picture.append(element("path", { class: "axis", fill: "none", d: `M${left} ${top}V${floor}H${width}` }));
  const centre = left + (width - left) / 2;
  for (const [x, text, anchor] of [[left, -half, "start"], [centre, 0, "middle"], [width, half, "end"]])
    picture.append(element("text", { x, y: height - 5, "text-anchor": anchor }, Number(text.toPrecision(2))));
  for (const [y, text] of [[top + 9, Math.round(limit)], [floor, 0]])
    picture.append(element("text", { x: left - 4, y, "text-anchor": "end" }, text.toLocaleString("en")));
  return picture;
}

function draw(box) {
  const data = JSON.parse(document.getElementById(box.dataset.of).textContent);
  const name = box.querySelector(".layer").value, round = box.querySelector(".round");
  const layer = data[name][round ? Number(round.value) : 0];
  const shown = layer.stages.map((stage) => {
    const one = document.createElement("div"), title = document.createElement("h4"), said = document.createElement("p");
    title.textContent = stage.name;
    said.textContent = stage.said;
    one.append(title, panel(stage, layer), said);
    return one;
  });
  box.querySelector(".panels").replaceChildren(...shown);
  box.querySelector(".readout").textContent = layer.said;
}

for (const button of document.querySelectorAll("thead button")) button.addEventListener("click", () => sort(button));
for (const box of document.querySelectorAll(".histogram")) {
  for (const choice of box.querySelectorAll("select")) choice.addEventListener("change", () => draw(box));
  draw(box);
}
