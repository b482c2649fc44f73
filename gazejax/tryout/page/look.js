// One picture that is sharp around the pointer alone, and the places of the pointer at equal times.

// Of the width of a picture: up to here a layer is whole, and beyond there it is gone.
const RINGS = [
  { blur: 0, whole: 0.045, gone: 0.09 },
  { blur: 1, whole: 0.08, gone: 0.16 },
  { blur: 2, whole: 0.14, gone: 0.26 },
  { blur: 3, whole: 0.24, gone: 0.42 },
];
const FARTHEST_BLUR = 4;
const KEY_STEP = 0.03;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function blank(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width));
  canvas.height = Math.max(1, Math.round(height));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  return [canvas, context];
}

// The picture at 1/2, 1/4, ... of its size and back: a pyramid of resolutions.
function blurred(image, width, height, halvings) {
  let source = image;
  for (let level = 0; level <= halvings; level += 1) {
    const [canvas, context] = blank(width / 2 ** level, height / 2 ** level);
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    source = canvas;
  }
  for (let level = halvings - 1; level >= 0; level -= 1) {
    const [canvas, context] = blank(width / 2 ** level, height / 2 ** level);
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    source = canvas;
  }
  return source;
}

function painter(canvas, image) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const farthest = blurred(image, width, height, FARTHEST_BLUR);
  const layers = RINGS.map((ring) => ({ ...ring, image: blurred(image, width, height, ring.blur) }));
  layers.reverse();
  const masks = layers.map(({ gone }) => blank(2 * gone * width, 2 * gone * width));
  return (x, y) => {
    context.drawImage(farthest, 0, 0);
    layers.forEach((layer, number) => {
      const [mask, inside] = masks[number];
      const radius = mask.width / 2;
      inside.globalCompositeOperation = "source-over";
      inside.clearRect(0, 0, mask.width, mask.height);
      inside.drawImage(layer.image, radius - x, radius - y);
      const fade = inside.createRadialGradient(radius, radius, layer.whole * width, radius, radius, radius);
      fade.addColorStop(0, "#000f");
      fade.addColorStop(1, "#0000");
      inside.globalCompositeOperation = "destination-in";
      inside.fillStyle = fade;
      inside.fillRect(0, 0, mask.width, mask.height);
      context.drawImage(mask, x - radius, y - radius);
    });
  };
}

// Shows a picture for its time. Resolves with {x, y}, or {interrupted: sentence}.
export function look({ canvas, image, width, height, seconds, sampleMs, signal, onProgress }) {
  const total = Math.max(1, Math.round((seconds * 1000) / sampleMs));
  const x = [];
  const y = [];
  // The pointer has just pressed the button in the middle.
  let at = [0.5, 0.5];
  let isInside = true;
  const box = canvas.getBoundingClientRect();
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * scale);
  canvas.height = Math.round(box.height * scale);
  const paint = painter(canvas, image);

  return new Promise((resolve) => {
    const stopped = new AbortController();
    const started = performance.now();
    let passed = 0;
    let frame = 0;
    let timer = 0;

    function end(result) {
      stopped.abort();
      clearInterval(timer);
      cancelAnimationFrame(frame);
      resolve(result);
    }
    function sample() {
      const due = Math.min(total, Math.floor((performance.now() - started) / sampleMs) + 1);
      for (; passed < due; passed += 1) {
        if (isInside) {
          x.push(Math.round(at[0] * width * 100) / 100);
          y.push(Math.round(at[1] * height * 100) / 100);
        }
      }
      onProgress(passed / total);
      if (passed >= total && performance.now() - started >= seconds * 1000) end({ x, y });
    }
    function draw() {
      paint(at[0] * canvas.width, at[1] * canvas.height);
      frame = requestAnimationFrame(draw);
    }
    function move(event) {
      const now = canvas.getBoundingClientRect();
      const left = (event.clientX - now.left) / now.width;
      const top = (event.clientY - now.top) / now.height;
      isInside = left >= 0 && left <= 1 && top >= 0 && top <= 1;
      if (isInside) at = [left, top];
    }
    function press(event) {
      const step = ARROWS[event.key];
      if (!step) return;
      event.preventDefault();
      const clamp = (value) => Math.min(0.999, Math.max(0, value));
      at = [clamp(at[0] + step[0] * KEY_STEP), clamp(at[1] + step[1] * KEY_STEP * (width / height))];
      isInside = true;
    }
    const options = { signal: stopped.signal };
    window.addEventListener("pointermove", move, options);
    window.addEventListener("pointerdown", move, options);
    window.addEventListener("keydown", press, options);
    window.addEventListener("resize", () => {
      const now = canvas.getBoundingClientRect();
      const same = Math.abs(now.width - box.width) < 2 && Math.abs(now.height - box.height) < 2;
      if (!same) end({ interrupted: "The window changed its size. This picture is shown again." });
    }, options);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) end({ interrupted: "The page was hidden. This picture is shown again." });
    }, options);
    signal.addEventListener("abort", () => end({ cancelled: true }), options);
    timer = setInterval(sample, sampleMs / 2);
    sample();
    draw();
  });
}
