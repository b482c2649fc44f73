// The steps of the page. What a person did is kept here and in sessionStorage, and nowhere else.

import { look } from "./look.js";
import { overlays, show } from "./maps.js";
import { fillTexts } from "./texts.js";
import { drawResult } from "./result.js";

const KEPT = "gazejax";
const MOST_BYTES = 10_000_000;
const LEAST_MOVE = 8;
const token = new URLSearchParams(location.search).get("token") ?? "";
const $ = (id) => document.getElementById(id);
const state = { about: null, rounds: [], answer: null, images: new Map(), map: null, wanted: 0, cancel: null };

function say(text, isError = false) {
  $("status").hidden = !text;
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
  if (isError && text) $("status").scrollIntoView({ block: "nearest" });
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { "X-Gazejax-Token": token, ...options.headers } });
  } catch {
    throw new Error("The program does not answer. Does gazejax try still run?");
  }
  if (!response.ok) {
    const found = await response.json().catch(() => ({}));
    const error = new Error(found.error ?? `The program answered ${response.status}.`);
    throw Object.assign(error, { status: response.status });
  }
  return response;
}

const post = (path, body) => ask(path, { method: "POST", body: JSON.stringify(body) });

// Runs what a button asks for; an error becomes a sentence on the page.
function act(run) {
  return async (event) => {
    say("");
    try {
      await run(event);
    } catch (error) {
      say(error.message, true);
    }
  };
}

function keep(changes = {}) {
  try {
    const kept = { rounds: state.rounds, inRound: false, ...changes };
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    // Without storage, a reload forgets: nothing else changes.
  }
}

function step(id) {
  for (const one of ["intro", "look", "result"]) $(one).hidden = one !== id;
  $("load-section").hidden = id === "look";
  $("resume").hidden = state.rounds.length === 0;
  $("method").hidden = $("credits").hidden = id === "look";
  $(`${id}-title`).focus();
  window.scrollTo(0, 0);
}

async function imageOf(number) {
  if (!state.images.has(number)) {
    const blob = await (await ask(`/pictures/${number}`)).blob();
    state.images.set(number, { image: await createImageBitmap(blob), url: URL.createObjectURL(blob) });
  }
  return state.images.get(number);
}

const numbersOf = (part) => state.about.pictures.map((one, number) => [one.part, number])
  .filter(([found]) => found === part).map(([, number]) => number);

function fitFrame({ width, height }) {
  const room = $("look").clientWidth || document.documentElement.clientWidth - 40;
  const tall = Math.max(220, window.innerHeight - $("frame").getBoundingClientRect().top - window.scrollY - 170);
  const shown = Math.min(800, room, (tall * width) / height);
  $("frame").style.width = `${Math.floor(shown)}px`;
  $("frame").style.height = `${Math.floor((shown * height) / width)}px`;
}

const pressed = (signal) => new Promise((resolve) => {
  $("start").addEventListener("click", () => resolve(true), { once: true, signal });
  signal.addEventListener("abort", () => resolve(false), { once: true });
});

const isStill = ({ x, y }) => x.every((one, at) => Math.hypot(one - x[0], y[at] - y[0]) < LEAST_MOVE);

// One round. Returns its viewings, or null if it was stopped.
async function runRound(part) {
  const { about } = state;
  const numbers = numbersOf(part);
  const stop = new AbortController();
  state.cancel = () => stop.abort();
  keep({ inRound: true });
  step("look");
  const viewings = [];
  $("total").textContent = numbers.length;
  for (let at = 0; at < numbers.length;) {
    const picture = about.pictures[numbers[at]];
    const { image } = await imageOf(numbers[at]);
    if (at + 1 < numbers.length) imageOf(numbers[at + 1]).catch(() => {});
    $("number").textContent = at + 1;
    $("progress").value = 0;
    $("frame").classList.add("waiting");
    $("start").hidden = false;
    $("start").textContent = at === 0 ? "Show" : "Next";
    fitFrame(picture);
    const refit = () => fitFrame(picture);
    window.addEventListener("resize", refit);
    $("hint").textContent = "Press the button in the middle: the picture appears, and the time begins.";
    $("start").focus({ preventScroll: true });
    const goes = await pressed(stop.signal);
    if (!goes) {
      window.removeEventListener("resize", refit);
      return null;
    }
    say("");
    $("start").hidden = true;
    $("hint").textContent = "Look around: move the pointer, a finger on the picture, or the arrow keys.";
    $("frame").classList.remove("waiting");
    $("stage").setAttribute("aria-label", `${picture.alt}. Sharp around the pointer; arrow keys move it.`);
    $("stage").focus({ preventScroll: true });
    const found = await look({
      canvas: $("stage"), image, width: picture.width, height: picture.height, seconds: about.seconds,
      sampleMs: about.sample_ms, signal: stop.signal, onProgress: (share) => { $("progress").value = share; },
    });
    window.removeEventListener("resize", refit);
    if (found.cancelled) return null;
    if (found.interrupted) {
      say(found.interrupted);
      continue;
    }
    if (found.x.length === 0 || isStill(found)) {
      say("The pointer did not move in that picture: it does not count.");
    }
    if (found.x.length) viewings.push({ picture: numbers[at], x: found.x, y: found.y });
    at += 1;
  }
  return viewings;
}

async function begin() {
  // Two rounds are replaced by a new one, when it is complete.
  const before = state.rounds.length >= 2 ? [] : [...state.rounds];
  const viewings = await runRound(before.length ? "second" : "first");
  if (viewings === null) {
    await leaveRound("The round was deleted.");
    return;
  }
  const moved = viewings.filter((one) => !isStill(one)).length;
  if (moved < state.about.least_pictures) {
    await leaveRound(`The pointer moved in ${moved} of ${numbersOf("first").length} pictures. At least `
      + `${state.about.least_pictures} are needed: please look at this round again.`);
    return;
  }
  state.rounds = [...before, viewings];
  keep();
  await showRounds();
}

async function leaveRound(text) {
  keep();
  if (state.rounds.length) await showRounds();
  else step("intro");
  say(text);
}

async function showRounds() {
  say("The model computes.");
  try {
    const answer = await (await post("/api/describe", { rounds: state.rounds })).json();
    say("");
    await showAnswer(answer);
  } catch (error) {
    // What the program refuses is of no use later either. Else, it may be asked again.
    if (error.status >= 400 && error.status < 500) state.rounds.pop();
    keep();
    step("intro");
    throw error;
  }
}

async function showAnswer(answer, isLoaded = false) {
  state.answer = answer;
  step("result");
  drawResult(state.about, answer, { rounds: state.rounds.length, isLoaded });
  $("save-gaze").disabled = isLoaded || state.rounds.length === 0;
  if (state.about.has_maps) await chooseMap(numbersOf("new")[0]);
}

async function makeChoices() {
  const made = await Promise.all(numbersOf("new").map(async (number) => {
    const picture = state.about.pictures[number];
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.number = number;
    const image = document.createElement("img");
    image.alt = picture.alt;
    image.src = (await imageOf(number)).url;
    button.append(image);
    button.addEventListener("click", act(() => chooseMap(number)));
    return button;
  }));
  $("choices").replaceChildren(...made);
}

function mark(number) {
  for (const one of $("choices").children) {
    one.setAttribute("aria-pressed", String(one.dataset.number === String(number)));
  }
}

async function chooseMap(number) {
  if (!$("choices").children.length) await makeChoices();
  mark(number);
  const { image } = await imageOf(number);
  await drawMap({ picture: number }, image, state.about.pictures[number].alt);
}

async function drawMap(wanted, image, alt) {
  state.wanted += 1;
  const mine = state.wanted;
  const answer = await (await post("/api/map", { embedding: state.answer.embedding, ...wanted })).json();
  const made = await overlays(image, answer);
  if (mine !== state.wanted) return; // Another picture was chosen meanwhile.
  state.map = made;
  $("map-text").textContent = answer.sentence;
  $("map").setAttribute("aria-label", `${alt}: ${answer.sentence}`);
  redraw();
}

function redraw() {
  if (!state.map) return;
  const isDifference = $("difference").checked;
  $("wipe").hidden = isDifference;
  $("left-name").textContent = isDifference ? "blue: less than the average" : "average";
  $("right-name").textContent = isDifference ? "orange: more" : "you";
  show($("map"), state.map, Number($("wipe").value) / 100, isDifference);
}

function fileOf(input) {
  const [file] = input.files;
  input.value = "";
  if (!file) return null;
  if (file.size > MOST_BYTES) throw new Error("The file is larger than 10 MB.");
  return file;
}

async function upload() {
  const file = fileOf($("upload"));
  if (!file) return;
  const address = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
  const image = await createImageBitmap(file).catch(() => null);
  const sent = { upload: address.slice(address.indexOf(",") + 1) };
  if (!image) {
    await post("/api/map", { embedding: state.answer.embedding, ...sent }); // Says what is wrong.
    throw new Error("This browser does not show the picture.");
  }
  mark(null);
  state.hasUploaded = true;
  await drawMap(sent, image, "Your picture");
}

async function load() {
  const file = fileOf($("load"));
  if (!file) return;
  const answer = await (await ask("/api/embedding", { method: "POST", body: file })).json();
  await showAnswer(answer, true);
}

async function save(path, body, name) {
  const blob = await (await post(path, body)).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`${name} was given to the browser to save. It can identify you: treat it as personal data.`);
}

function forget() {
  if (state.cancel) state.cancel();
  Object.assign(state, { rounds: [], answer: null, map: null });
  state.wanted += 1;
  sessionStorage.removeItem(KEPT);
  for (const id of ["map", "stage"]) $(id).width = $(id).width; // Clears what was drawn.
  for (const id of ["plot", "traits", "place-text", "map-text", "basis", "again-text", "uncounted"]) {
    $(id).replaceChildren();
  }
  step("intro");
  say(state.hasUploaded
    ? "All is deleted. What the model read of your own pictures is gone when the program ends."
    : "All is deleted: this page and the program hold nothing of you.");
}

function recall() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    sessionStorage.removeItem(KEPT);
  }
  if (!kept || !Array.isArray(kept.rounds)) return;
  state.rounds = kept.rounds;
  $("resume").hidden = state.rounds.length === 0;
  if (kept.inRound) say("The page was loaded anew in the middle of a round: that round starts anew.");
}

async function open() {
  state.about = await (await ask("/api/about")).json();
  fillTexts(state.about);
  recall();
  $("begin").addEventListener("click", act(begin));
  $("again").addEventListener("click", act(begin));
  $("resume").addEventListener("click", act(showRounds));
  $("stop").addEventListener("click", () => state.cancel?.());
  $("wipe").addEventListener("input", redraw);
  $("difference").addEventListener("change", redraw);
  $("upload").addEventListener("change", act(upload));
  $("load").addEventListener("change", act(load));
  $("delete").addEventListener("click", act(forget));
  $("save-embedding").addEventListener("click", act(() => save(
    "/api/export/embedding", { embedding: state.answer.embedding }, "gazejax_embedding.npz",
  )));
  $("save-gaze").addEventListener("click", act(() => save(
    "/api/export/gaze", { rounds: state.rounds }, "gazejax_gaze.csv",
  )));
  document.body.dataset.ready = "true";
  numbersOf("first").slice(0, 2).forEach((number) => imageOf(number).catch(() => {}));
}

act(open)();
