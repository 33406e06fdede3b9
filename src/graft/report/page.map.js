"use strict";
const element = (id) => document.getElementById(id);
const { points, labels, colours, splits, side, outliers } = JSON.parse(element("data").textContent);
const canvas = element("map"), context = canvas.getContext("2d"), sheet = element("sheet");
const about = document.querySelector("#about p"), enlarged = document.querySelector("#about canvas").getContext("2d");
const [X, Y, LABEL, SPLIT, PATH, PREDICTED, SCORE] = [0, 1, 2, 3, 4, 5, 6];
const wrong = (p) => p[PREDICTED] >= 0 && p[PREDICTED] !== p[LABEL];
const mistakes = points.flatMap((p, i) => (wrong(p) ? [i] : []));
const FEW = 150; // points in view, which become thumbnails
let scale, shiftX, shiftY, only = -1, chosen = -1;

const place = (p) => [shiftX + scale * p[X], shiftY + scale * p[Y]];
const inView = ([x, y]) => x > 0 && y > 0 && x < canvas.clientWidth && y < canvas.clientHeight;

function showAll() {
  scale = 0.9 * Math.min(canvas.clientWidth, canvas.clientHeight);
  shiftX = (canvas.clientWidth - scale) / 2;
  shiftY = (canvas.clientHeight - scale) / 2;
  draw();
}

function zoom(x, y, factor) {
  shiftX = x - (x - shiftX) * factor;
  shiftY = y - (y - shiftY) * factor;
  scale *= factor;
  draw();
}

function drawThumbnail(target, i, x, y, size) {
  const columns = Math.floor(sheet.naturalWidth / side) || 1;
  target.drawImage(sheet, (i % columns) * side, Math.floor(i / columns) * side, side, side, x, y, size, size);
}

function draw() {
  const ratio = window.devicePixelRatio || 1, style = getComputedStyle(document.body);
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  context.scale(ratio, ratio);
  const seen = points.map((p, i) => i).filter((i) => inView(place(points[i])));
  const large = seen.length <= FEW ? new Set(seen) : new Set(outliers);
  for (const i of seen) {
    const p = points[i], [x, y] = place(p);
    context.globalAlpha = only < 0 || p[LABEL] === only ? 1 : 0.12;
    context.fillStyle = context.strokeStyle = colours[p[LABEL]];
    context.lineWidth = 3;
    if (large.has(i)) {
      drawThumbnail(context, i, x - 16, y - 16, 32);
      context.strokeRect(x - 16, y - 16, 32, 32);
    } else {
      context.beginPath();
      context.arc(x, y, 3, 0, 7);
      context.fill();
    }
    context.strokeStyle = style.color;
    context.lineWidth = 1.5;
    if (wrong(p) || i === chosen) ring(x, y, (large.has(i) ? 24 : 6) + 4 * (i === chosen));
  }
}

function ring(x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.stroke();
}

function nearest(x, y) {
  let best = -1, least = 24 ** 2;
  points.forEach((p, i) => {
    const [px, py] = place(p), distance = (px - x) ** 2 + (py - y) ** 2;
    if (distance < least && (only < 0 || p[LABEL] === only)) [best, least] = [i, distance];
  });
  return best;
}

function show(i) {
  if (i < 0 || i === chosen) return;
  chosen = i;
  const p = points[i], percent = `${(100 * p[SCORE]).toFixed(1)} %`;
  const said = p[PREDICTED] < 0 ? "" : `, predicted ${labels[p[PREDICTED]]} with ${percent}${wrong(p) ? ", wrong" : ""}`;
  about.textContent = `${labels[p[LABEL]]} (${splits[p[SPLIT]]})${said}: ${p[PATH]}`;
  drawThumbnail(enlarged, i, 0, 0, 128);
  draw();
}

function step(list) {
  if (!list.length) return;
  const i = list[(list.indexOf(chosen) + 1) % list.length], [x, y] = place(points[i]);
  if (!inView([x, y])) {
    shiftX += canvas.clientWidth / 2 - x;
    shiftY += canvas.clientHeight / 2 - y;
  }
  chosen = -1;
  show(i);
}

const held = new Map();
const at = (e) => ({ x: e.offsetX, y: e.offsetY });
const apart = (a, b) => Math.hypot(a.x - b.x, a.y - b.y) || 1;
canvas.addEventListener("pointerdown", (e) => {
  canvas.setPointerCapture(e.pointerId);
  held.set(e.pointerId, at(e));
  show(nearest(e.offsetX, e.offsetY));
});
canvas.addEventListener("pointermove", (e) => {
  const now = at(e), before = held.get(e.pointerId);
  if (!before) return show(nearest(now.x, now.y));
  const other = [...held].find(([id]) => id !== e.pointerId);
  held.set(e.pointerId, now);
  if (other) return zoom((now.x + other[1].x) / 2, (now.y + other[1].y) / 2, apart(now, other[1]) / apart(before, other[1]));
  shiftX += now.x - before.x;
  shiftY += now.y - before.y;
  draw();
});
for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => held.delete(e.pointerId));
canvas.addEventListener("wheel", (e) => {
  e.preventDefault();
  zoom(e.offsetX, e.offsetY, Math.exp(-0.002 * e.deltaY));
}, { passive: false });

const centre = (factor) => zoom(canvas.clientWidth / 2, canvas.clientHeight / 2, factor);
const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
canvas.addEventListener("keydown", (e) => {
  if (e.key in moves) [shiftX, shiftY] = [shiftX + moves[e.key][0], shiftY + moves[e.key][1]];
  else if ("+=".includes(e.key)) return centre(1.5);
  else if (e.key === "-") return centre(1 / 1.5);
  else if (e.key === "0") return showAll();
  else return;
  e.preventDefault();
  draw();
});
for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => centre(Number(button.dataset.zoom)));
element("all").addEventListener("click", showAll);
element("mistake").addEventListener("click", () => step(mistakes));
element("outlier").addEventListener("click", () => step(outliers));
element("class").addEventListener("change", (e) => {
  only = Number(e.target.value);
  draw();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
new ResizeObserver(showAll).observe(canvas);
sheet.decode().then(draw);
