"use strict";

const find = (query, inside = document) => inside.querySelector(query);
const findAll = (query, inside = document) => [...inside.querySelectorAll(query)];

/** Makes an element with attributes, a text, and children. */
function make(name, attributes = {}, ...children) {
  const vector = ["svg", "circle", "path", "text", "rect", "line"].includes(name);
  const element = vector
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Figures: a radio shows one drawing, a checkbox shows or hides the parts of its name.
for (const choice of findAll("[data-shows]")) {
  const name = choice.dataset.shows;
  const show = () => {
    const chosen = find("input:checked", choice).value;
    for (const drawing of findAll(`[data-${name}]`)) drawing.hidden = drawing.dataset[name] !== chosen;
  };
  choice.addEventListener("change", show);
  show();
}
for (const choice of findAll("[data-toggles]")) {
  choice.addEventListener("change", ({ target }) => {
    for (const part of findAll(`.${choice.dataset.toggles} .${CSS.escape(target.value)}`)) {
      part.classList.toggle("off", !target.checked);
    }
  });
}

const data = find("#data") ? JSON.parse(find("#data").textContent) : {};

/** Fixations in their order, joined by a line, over a picture of a size in pixels. */
function scanpath(places, [width, height]) {
  const points = places.map(([x, y]) => [x * width, y * height]);
  const radius = width / 44;
  const line = { fill: "none", stroke: "#fff", "stroke-width": radius / 3, "stroke-opacity": 0.85 };
  const drawing = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  drawing.append(make("path", { d: `M${points.map((one) => one.join(" ")).join("L")}`, ...line }));
  points.forEach(([cx, cy], number) => {
    const dot = { cx, cy, r: radius, fill: "#0072b2", stroke: "#fff", "stroke-width": radius / 6 };
    const middle = { x: cx, y: cy + radius * 0.42, "text-anchor": "middle", fill: "#fff" };
    const text = { ...middle, "font-size": radius * 1.2, "font-family": "system-ui, sans-serif" };
    drawing.append(make("circle", dot), make("text", text, String(number + 1)));
  });
  return drawing;
}

if (data.gallery) {
  const { images, uris, examples } = data.gallery;
  const [users, pictures] = [find("#gallery-user"), find("#gallery-image")];
  for (const user of Object.keys(examples)) {
    users.append(make("option", { value: user }, data.people.users[user].name));
  }
  images.forEach((image, number) => {
    pictures.append(make("option", { value: number }, image.name));
    const label = `Show ${image.name}`;
    const button = make("button", { type: "button", "aria-label": label, "aria-pressed": "false" });
    button.append(make("img", { src: image.uri, alt: "" }));
    button.addEventListener("click", () => { pictures.value = number; show(); });
    find("#gallery-thumbnails").append(button);
  });
  const panel = (kind, uri, text, alt, image, over) => {
    const frame = make("div", { class: `frame ${kind}` }, make("img", { src: uri, alt }));
    frame.style.aspectRatio = image.size.join(" / ");
    if (over) frame.append(over);
    return make("figure", {}, frame, make("figcaption", {}, text));
  };
  const show = () => {
    const number = Number(pictures.value);
    const [image, name] = [images[number], data.people.users[users.value].name];
    const example = examples[users.value][number];
    findAll("#gallery-thumbnails button").forEach((button, at) => {
      button.setAttribute("aria-pressed", String(at === number));
    });
    const said = `${image.name}: ${name}`;
    const panels = find("#gallery-panels");
    panels.replaceChildren();
    if (!example) {
      panels.append(panel("", image.uri, "picture", said, image));
      find("#gallery-said").textContent =
        `${said} enrolled with this picture, or did not see it: no map is predicted.`;
      return;
    }
    const [universal, own, mean, truth, difference] = example.maps.map((one) => uris[one]);
    const over = scanpath(example.xy, image.size);
    panels.append(
      panel("", image.uri, "picture and fixations", `${said}, fixations`, image, over),
      panel("heat", universal, "universal: all seen users", `${said}, universal map`, image),
      panel("heat", own, "predicted with the own embedding", `${said}, own map`, image),
      panel("heat", mean, "predicted with the mean embedding", `${said}, mean map`, image),
      panel("heat", truth, "truth: where the user looked", `${said}, true map`, image),
      panel("signed", difference, "own minus mean: red is more", `${said}, difference`, image),
    );
    const [cc, ccMean] = example.cc.map((one) => (one === null ? "not known" : one.toFixed(2)));
    find("#gallery-said").textContent =
      `${said}, ${example.xy.length} fixations. CC with the truth: own ${cc}, mean ${ccMean}.`;
  };
  const step = (by) => {
    pictures.value = (Number(pictures.value) + by + images.length) % images.length;
    show();
  };
  find("#gallery-previous").addEventListener("click", () => step(-1));
  find("#gallery-next").addEventListener("click", () => step(1));
  users.addEventListener("change", show);
  pictures.addEventListener("change", show);
  show();
}

/** Where a value is between those of all users: a line, the middle 80 %, the median, a mark. */
function strip(value, [least, low, middle, high, most]) {
  const at = (one) => 4 + (most > least ? (192 * (one - least)) / (most - least) : 96);
  const drawing = make("svg", { class: "strip", viewBox: "0 0 200 12", "aria-hidden": "true" });
  const gray = { fill: "var(--line)" };
  drawing.append(
    make("rect", { x: 4, y: 5.5, width: 192, height: 1, ...gray }),
    make("rect", { x: at(low), y: 3.5, width: Math.max(at(high) - at(low), 0.5), height: 5, ...gray }),
    make("rect", { x: at(middle) - 0.4, y: 2, width: 0.8, height: 8, fill: "var(--muted)" }),
    make("circle", { cx: at(value), cy: 6, r: 3.2, fill: "var(--accent)" }),
  );
  return drawing;
}

if (data.people && find("#person")) {
  const { users, traits } = data.people;
  const select = find("#person");
  users.forEach((user, number) => select.append(make("option", { value: number }, user.name)));
  const show = () => {
    const number = Number(select.value);
    const user = users[number];
    const said = find("#person-said");
    const kind = user.seen ? "The training saw this user" : "The training did not see this user";
    said.replaceChildren(make("p", {}, `${kind}${data.people.in_fold}.`));
    if (user.gain) {
      const [value, low, high] = user.gain.map((one) => (one === null ? "?" : one.toFixed(3)));
      said.append(make("p", {}, `The own embedding adds ${value} bits per fixation to another ` +
        `user's, 95 % interval ${low} to ${high}.`));
    }
    if (user.nearest.length) {
      const names = user.nearest.map((one) => users[one].name).join(", ");
      said.append(make("p", {}, `Nearest embeddings: ${names}.`));
    }
    traits.forEach((trait, at) => {
      const value = user.traits[at];
      if (value === null) return;
      const known = users.map((one) => one.traits[at]).filter((one) => one !== null);
      const below = known.filter((one) => one < value).length;
      const rank = `more than ${below} of the ${known.length - 1} others`;
      const text = `${trait.name}: ${value.toFixed(trait.digits)} (${rank})`;
      said.append(make("div", { class: "trait" }, make("p", {}, text), strip(value, trait.quantiles)));
    });
  };
  const chosen = () => {
    show();
    const inGallery = find("#gallery-user");
    if (inGallery && data.gallery.examples[select.value]) {
      inGallery.value = select.value;
      inGallery.dispatchEvent(new Event("change"));
    }
    for (const part of findAll("#scatter [class^='user-']")) {
      part.classList.toggle("dim", !part.classList.contains(`user-${select.value}`));
    }
  };
  select.addEventListener("change", chosen);
  find("#scatter")?.addEventListener("click", ({ target }) => {
    const part = target.closest("[class^='user-']");
    if (part) { select.value = part.classList[0].slice(5); chosen(); }
  });
  show();
}
