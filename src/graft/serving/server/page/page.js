"use strict";
const at = (id) => document.getElementById(id);
const percent = (score) => `${(100 * score).toFixed(1)} %`;
let key = "", model = null, shots = 0;

const say = (text, wrong = false) => {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
};

async function ask(path, options = {}) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw Object.assign(new Error(said.detail || `the server answered ${response.status}`), { status: response.status });
}

function formOf(file, fields = {}) {
  const form = new FormData();
  form.append("files", file, file.name);
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  return { method: "POST", body: form };
}

async function meet() {
  try {
    model = await (await ask("v1/model")).json();
    const card = model.card;
    at("about").textContent = `${card.classes.length} classes (${card.classes.slice(0, 8).join(", ")}` +
      `${card.classes.length > 8 ? ", …" : ""}), method ${card.method}, runtime ${model.runtime}.`;
    at("unlock").hidden = true;
  } catch (error) {
    const locked = error.status === 401;
    at("about").textContent = locked ? "The server asks for an API key." :
      `There is no answer about the model: ${error.message}.`;
    at("unlock").hidden = !locked;
    if (error.status === 503) setTimeout(meet, 1000);
  }
}

function bar(label, score) {
  const item = document.createElement("li"), track = document.createElement("span");
  const [name, box, share] = ["span", "span", "span"].map((tag) => document.createElement(tag));
  name.textContent = label;
  share.textContent = percent(score);
  box.className = "bar";
  box.setAttribute("aria-hidden", "true");
  track.style.width = percent(score).replace(" ", "");
  box.append(track);
  item.append(name, box, share);
  return item;
}

function makeCard(file) {
  const card = at("result").content.cloneNode(true).querySelector("li");
  const photo = card.querySelector(".photo");
  photo.src = URL.createObjectURL(file);
  photo.alt = `The photo ${file.name}`;
  photo.addEventListener("error", () => { photo.hidden = true; });
  card.querySelector("h2").textContent = file.name;
  at("results").prepend(card);
  return card;
}

async function explain(card, file, label) {
  const button = card.querySelector(".look"), figure = card.querySelector("figure"), image = new Image();
  button.disabled = true;
  try {
    const drawn = await (await ask("v1/explain", formOf(file, { label }))).blob();
    image.className = "heat";
    image.src = URL.createObjectURL(drawn);
    image.alt = `Heat map: the places of ${file.name} that speak for ${label}`;
    figure.querySelector("figcaption").textContent = `The lighter, the more that place speaks for ${label}.`;
    figure.prepend(image);
    figure.hidden = false;
    button.hidden = true;
    say(`The heat map of ${file.name} is there.`);
  } catch (error) {
    button.disabled = false;
    say(error.message, true);
  }
}

async function predict(file) {
  const card = makeCard(file), answer = card.querySelector(".answer"), limit = model && model.limits.max_bytes;
  try {
    if (limit && file.size > limit - 1000) throw new Error(`the file has more than ${limit} bytes`);
    const [row] = (await (await ask("v1/predict", formOf(file))).json()).predictions;
    answer.textContent = `${row.label}, ${percent(row.score)}`;
    const best = Object.entries(row.scores).sort((a, b) => b[1] - a[1]).slice(0, 5);
    card.querySelector(".bars").append(...best.map(([label, score]) => bar(label, score)));
    const button = card.querySelector(".look");
    button.hidden = !(model && model.heat_maps);
    button.setAttribute("aria-label", `Show where the model looks in ${file.name}`);
    button.addEventListener("click", () => explain(card, file, row.label));
    return `${file.name}: ${row.label}, ${percent(row.score)}.`;
  } catch (error) {
    answer.textContent = error.message;
    answer.classList.add("wrong");
    return `${file.name}: ${error.message}.`;
  }
}

async function predictAll(files) {
  const said = [];
  for (const file of files) {
    say(`${said.length + 1} of ${files.length}: ${file.name} …`);
    said.push(await predict(file));
  }
  say(said.length > 3 ? `${said.length} photos have an answer.` : said.join(" "));
}

function stopCamera() {
  for (const track of at("video").srcObject.getTracks()) track.stop();
  at("video").srcObject = null;
  at("live").hidden = true;
  at("camera").hidden = false;
  at("camera").focus();
}

async function startCamera() {
  try {
    at("video").srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    at("live").hidden = false;
    at("camera").hidden = true;
    at("shoot").focus();
  } catch (error) {
    say(`The camera cannot be used: ${error.message}`, true);
  }
}

function shoot() {
  const video = at("video"), canvas = document.createElement("canvas");
  if (!video.videoWidth) return;
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => predictAll([new File([blob], `camera ${++shots}.jpg`, { type: "image/jpeg" })]), "image/jpeg", 0.95);
}

at("files").addEventListener("change", async (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  await predictAll(files);
});
for (const name of ["dragover", "dragleave", "drop"])
  document.addEventListener(name, (event) => {
    event.preventDefault();
    at("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") predictAll([...event.dataTransfer.files]);
  });
at("unlock").addEventListener("submit", async (event) => {
  event.preventDefault();
  key = String.fromCharCode(...new TextEncoder().encode(at("key").value));  // a header takes bytes
  await meet();
  const locked = !at("unlock").hidden;
  say(locked ? "The server does not take this key." : "", locked);
  at(locked ? "key" : "files").focus();
});
at("camera").hidden = !(navigator.mediaDevices && navigator.mediaDevices.getUserMedia);
at("camera").addEventListener("click", startCamera);
at("shoot").addEventListener("click", shoot);
at("stop").addEventListener("click", stopCamera);
meet();
