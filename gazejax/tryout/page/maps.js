// The average map and a person's own over a gray picture, and a border between them.

const AVERAGE = [0, 114, 178]; // Okabe-Ito blue.
const OWN = [213, 94, 0]; // Okabe-Ito vermilion.
const STRENGTH = 0.85;

async function values(encoded, width, height) {
  const bytes = Uint8Array.from(atob(encoded), (one) => one.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

function gray(image, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const found = new Uint8ClampedArray(width * height);
  for (let at = 0; at < found.length; at += 1) {
    const luma = 0.2126 * data[4 * at] + 0.7152 * data[4 * at + 1] + 0.0722 * data[4 * at + 2];
    found[at] = 24 + 0.66 * luma;
  }
  return found;
}

function tinted(base, width, height, weightOf) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let at = 0; at < base.length; at += 1) {
    const [weight, color] = weightOf(at);
    for (let channel = 0; channel < 3; channel += 1) {
      pixels.data[4 * at + channel] = base[at] * (1 - weight) + color[channel] * weight;
    }
    pixels.data[4 * at + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

// Makes the three pictures of an answer of /api/map over an image.
export async function overlays(image, answer) {
  const { width, height } = answer;
  const [own, average] = await Promise.all(
    [answer.own, answer.average].map((one) => values(one, width, height)),
  );
  const base = gray(image, width, height);
  const ofMap = (map, color) => tinted(base, width, height, (at) => [(map[4 * at] / 255) * STRENGTH, color]);
  let largest = 1;
  const change = new Float32Array(base.length);
  for (let at = 0; at < base.length; at += 1) {
    // The maps come as roots.
    change[at] = (own[4 * at] / 255) ** 2 - (average[4 * at] / 255) ** 2;
    if (at === 0 || Math.abs(change[at]) > largest) largest = Math.abs(change[at]);
  }
  const difference = tinted(base, width, height, (at) => [
    Math.sqrt(Math.abs(change[at]) / (largest || 1)) * STRENGTH,
    change[at] > 0 ? OWN : AVERAGE,
  ]);
  return { width, height, average: ofMap(average, AVERAGE), own: ofMap(own, OWN), difference };
}

export function show(canvas, made, border, isDifference) {
  canvas.width = made.width;
  canvas.height = made.height;
  const context = canvas.getContext("2d");
  if (isDifference) {
    context.drawImage(made.difference, 0, 0);
    return;
  }
  const at = Math.round(border * made.width);
  context.drawImage(made.own, 0, 0);
  if (at > 0) context.drawImage(made.average, 0, 0, at, made.height, 0, 0, at, made.height);
  context.fillStyle = "#fff";
  context.fillRect(at - 1.5, 0, 3, made.height);
}
