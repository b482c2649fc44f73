// A person among other people: contours of shares of people, and places with their uncertainty.

const SPACE = "http://www.w3.org/2000/svg";
const SIZE = 400;
const WORDS = {
  center_share: ["nearer to the centre", "farther from the centre"],
  saccade_length: ["longer steps", "shorter steps"],
  spread: ["larger area", "smaller area"],
  fixated_contrast: ["more contrast", "less contrast"],
  fixated_color: ["more colour", "less colour"],
  fixated_brightness: ["brighter places", "darker places"],
};
const LEAST_LOADING = 0.5;

export function svg(name, attributes, text) {
  const made = document.createElementNS(SPACE, name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  if (text !== undefined) made.textContent = text;
  return made;
}

// What the two ends of an axis mean: the trait that goes with it most.
function ends(loadings, axis) {
  const known = Object.entries(loadings).filter(([name]) => name in WORDS);
  if (!known.length) return null;
  const [name, values] = known.reduce((a, b) => (Math.abs(b[1][axis]) > Math.abs(a[1][axis]) ? b : a));
  if (Math.abs(values[axis]) < LEAST_LOADING) return null;
  const [more, less] = WORDS[name];
  return values[axis] > 0 ? [less, more] : [more, less];
}

function marker(shape, x, y) {
  if (shape === "square") return svg("rect", { class: "dot", x: x - 6, y: y - 6, width: 12, height: 12 });
  if (shape === "diamond") {
    return svg("path", { class: "dot", d: `M${x} ${y - 8}L${x + 8} ${y}L${x} ${y + 8}L${x - 8} ${y}Z` });
  }
  return svg("circle", { class: "dot", cx: x, cy: y, r: 7 });
}

export function key(shape) {
  const made = svg("svg", { width: 20, height: 20, viewBox: "-10 -10 20 20", "aria-hidden": "true", class: "key" });
  made.append(marker(shape, 0, 0));
  return made;
}

// places: [{place, shape, label}]
export function plot(root, population, places) {
  const reach = Math.max(
    population.contours.at(-1)[1] * 1.18,
    ...places.map(({ place }) => Math.hypot(...place.at) + place.ellipse.long + 0.2),
  );
  const unit = SIZE / 2 / reach;
  const middle = SIZE / 2;
  root.setAttribute("viewBox", `0 0 ${SIZE} ${SIZE}`);
  root.replaceChildren();
  root.append(svg("line", { class: "axis", x1: 0, x2: SIZE, y1: middle, y2: middle }));
  root.append(svg("line", { class: "axis", y1: 0, y2: SIZE, x1: middle, x2: middle }));
  [...population.contours].reverse().forEach(([, radius]) => {
    root.append(svg("circle", { class: "people", cx: middle, cy: middle, r: radius * unit }));
  });
  places.forEach(({ place, shape, isMain }) => {
    const [x, y] = [middle + place.at[0] * unit, middle - place.at[1] * unit];
    if (isMain) {
      const turned = `translate(${x} ${y}) rotate(${-place.ellipse.degrees})`;
      root.append(svg("ellipse", { class: "reach", rx: place.ellipse.long * unit, ry: place.ellipse.short * unit, transform: turned }));
    }
    root.append(marker(shape, x, y));
  });
  population.contours.forEach(([share, radius]) => {
    const at = { x: middle + 5, y: middle - radius * unit + 14, class: "halo" };
    root.append(svg("text", at, `${Math.round(share * 100)} %`));
  });
  const across = ends(population.loadings, 0);
  const upward = ends(population.loadings, 1);
  if (across) {
    root.append(svg("text", { x: 4, y: middle - 6, class: "halo" }, `← ${across[0]}`));
    root.append(svg("text", { x: SIZE - 4, y: middle - 6, "text-anchor": "end", class: "halo" }, `${across[1]} →`));
  }
  if (upward) {
    root.append(svg("text", { x: middle - 6, y: SIZE - 6, "text-anchor": "end", class: "halo" }, `${upward[0]} ↓`));
    root.append(svg("text", { x: middle - 6, y: 14, "text-anchor": "end", class: "halo" }, `${upward[1]} ↑`));
  }
}
