// What the page says of a person, from an answer of the program.

import { key, plot } from "./plot.js";

const $ = (id) => document.getElementById(id);

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawPlace(about, answer) {
  const known = about.population !== null && answer.place !== null;
  $("plot").toggleAttribute("hidden", !known);
  $("plot-legend").hidden = !known;
  if (!known) {
    $("place-text").textContent = "How the people of the training differ is not known of this model.";
    $("population-text").textContent = "";
    return;
  }
  const isTwice = answer.rounds.length > 1;
  const places = [{ place: answer.place, shape: "circle", isMain: true }];
  if (isTwice) {
    places.push({ place: answer.rounds[0], shape: "square" }, { place: answer.rounds[1], shape: "diamond" });
  }
  plot($("plot"), about.population, places);
  const legend = [["circle", isTwice ? "you, both rounds; shaded: you are there with 80 %" : "you; shaded: you are there with 80 %"]];
  if (isTwice) legend.push(["square", "first round alone"], ["diamond", "second round alone"]);
  $("plot-legend").replaceChildren(...legend.map(([shape, text]) => {
    const item = document.createElement("li");
    item.append(key(shape), element("span", text));
    return item;
  }));
  $("place-text").textContent = answer.place.sentence;
  const { share, num_people: people } = about.population;
  const whose = about.is_measured
    ? `The rings hold 50, 80 and 95 % of ${people} people of the crowd that the model is of`
    : "The rings hold 50, 80 and 95 % of the people of the training, if they are normally distributed";
  $("population-text").textContent = `${whose}; no single person is in the program. Of all that `
    + `differs between people, these two directions show ${Math.round(share * 100)} %.`;
}

function traitRow(one) {
  const row = element("div", "", "trait");
  const words = document.createElement("div");
  words.append(element("p", one.title, "name"), element("p", one.sentence, one.verdict === "alike" ? "" : "told"));
  const right = document.createElement("div");
  const bar = element("div", "", "bar");
  bar.setAttribute("aria-hidden", "true");
  const [range, best, middle] = ["range", "best", "middle"].map((name) => element("span", "", name));
  range.style.left = `${100 * one.low}%`;
  range.style.width = `${100 * (one.high - one.low)}%`;
  best.style.left = `${100 * one.share}%`;
  bar.append(middle, range, best);
  const ends = element("div", "", "ends");
  ends.append(element("span", "less than all"), element("span", "more than all"));
  right.append(bar, ends);
  row.append(words, right);
  return row;
}

function drawTraits(answer) {
  if (!answer.traits.length) {
    $("traits").replaceChildren(element("p", "This model cannot tell traits: it was not evaluated, or on too few people."));
    return;
  }
  const told = answer.traits.filter((one) => one.verdict !== "unknown");
  const untold = answer.traits.filter((one) => one.verdict === "unknown");
  const rank = { more: 0, less: 0, alike: 1 };
  told.sort((a, b) => rank[a.verdict] - rank[b.verdict]);
  const made = told.map(traitRow);
  if (untold.length) {
    const names = untold.map((one) => one.title.toLowerCase()).join(", ");
    made.push(element("p", `Not known from these pictures: ${names}.`, "untold"));
  }
  $("traits").replaceChildren(...made);
}

function drawAgain(about, answer, { rounds, isLoaded }) {
  const button = $("again");
  button.hidden = false;
  $("again-more").hidden = !answer.comparison;
  if (isLoaded) {
    $("again-text").textContent = "This embedding was opened from a file. Look at pictures to compare rounds.";
    button.textContent = "Look at eight pictures";
    return;
  }
  button.textContent = "Look at eight more";
  if (rounds < 2) {
    $("again-text").textContent = about.can_compare
      ? "Look at eight other pictures. The program then compares the two rounds, as if it did not know whose they are."
      : "This model is not calibrated, so it cannot say whether two rounds are of one person. A second round makes the rest more certain.";
    return;
  }
  $("again-text").textContent = answer.comparison?.sentence
    ?? "This model is not calibrated: it cannot say whether two rounds are of one person.";
  button.textContent = "Start anew, with both rounds";
}

export function drawResult(about, answer, how) {
  const number = answer.embedding.num_images;
  $("basis").textContent = how.isLoaded
    ? `From the file that you opened, of ${number} pictures.`
    : `From ${number} pictures of ${how.rounds === 1 ? "one round" : "two rounds"}.`;
  const uncounted = answer.uncounted.flat().length;
  $("uncounted").hidden = uncounted === 0;
  $("uncounted").textContent = uncounted === 1
    ? "One picture does not count: the pointer did not move in it."
    : `${uncounted} pictures do not count: the pointer did not move in them.`;
  drawPlace(about, answer);
  drawTraits(answer);
  drawAgain(about, answer, how);
  $("maps-section").hidden = false;
  const withoutMaps = ["choices", "map-figure"];
  withoutMaps.forEach((id) => { $(id).hidden = !about.has_maps; });
  if (!about.has_maps) {
    $("maps-section").hidden = true;
  }
}
