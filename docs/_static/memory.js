// The front page's player, and what it shares with explorer.js: charts, words, Play.
//
// No library, no build step. The numbers come from docs/explorer/make_map.py.
"use strict";

(() => {
  // Colors (Okabe-Ito), line styles and markers of metaplastic_np/figures.py.
  const STYLES = {
    conventional: { color: "#D55E00", dash: "7 4", marker: "M-4.5-4.5h9v9h-9Z" },
    stable: { color: "#0072B2", dash: "8 3 2 3", marker: "M0-6L5.5 4.5H-5.5Z" },
    hybrid: { color: "#009E73", dash: "none", marker: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z" },
    homogeneous: { color: "#E69F00", dash: "2 3", marker: "M-2-6h4v4h4v4h-4v4h-4v-4h-4v-4h4Z" },
    mixture: { color: "var(--pst-color-text-base)", dash: "none", marker: "M0-6L6 0L0 6L-6 0Z" },
  };

  const twoDigits = (value) => value.toFixed(2).replace(/^-(0\.00)$/, "$1").replace("-", "−");
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  const describeRecall = (recall, after) =>
    `Recall after presentation ${after} of ${recall.length - 1}, items 1 to ${recall[0].length}: ` +
    `${recall[after].map(twoDigits).join(", ")}. Chance is 0.10.`;

  // ---- charts: strings of SVG, in pixels ----------------------------------------------

  /** Axes, and scales from values to pixels. An axis is {from, to, ticks: [[at, text]], label}. */
  function makeChart(svg, x, y) {
    const [left, right, top] = [58, svg.clientWidth - 12, 10];
    const floor = svg.clientHeight - 44;
    const toX = (value) => left + ((right - left) * (value - x.from)) / (x.to - x.from);
    const toY = (value) => floor - ((floor - top) * (value - y.from)) / (y.to - y.from);
    const axes = [
      ...y.ticks.map(([at, text]) => `<path class="grid" d="M${left} ${toY(at)}H${right}"/>` +
        `<text class="tick" x="${left - 8}" y="${toY(at) + 4}" text-anchor="end">${text}</text>`),
      ...x.ticks.map(([at, text]) => `<path class="axis" d="M${toX(at)} ${floor}v5"/>` +
        `<text class="tick" x="${toX(at)}" y="${floor + 19}" text-anchor="middle">${text}</text>`),
      `<path class="axis" d="M${left} ${floor}H${right}"/>`,
      `<text class="label" x="${(left + right) / 2}" y="${floor + 38}" text-anchor="middle">` +
        `${x.label}</text>`,
      `<text class="label" transform="translate(11 ${(top + floor) / 2}) rotate(-90)" ` +
        `text-anchor="middle">${y.label}</text>`,
    ];
    const line = (points) => points.map(([a, b], i) => `${i ? "L" : "M"}${toX(a).toFixed(1)} ` +
      toY(b).toFixed(1)).join("");
    return { toX, toY, line, left, right, floor, axes: axes.join("") };
  }

  function fill(svg, content, words) {
    svg.innerHTML = content;
    svg.setAttribute("aria-label", words);
  }

  const RECALL = { from: 0, to: 1, label: "recall",
    ticks: [[0, "0"], [0.25, "0.25"], [0.5, "0.5"], [0.75, "0.75"], [1, "1"]] };
  const ITEMS = { from: 0.4, to: 10.6, label: "item, in the order of presentation",
    ticks: Array.from({ length: 10 }, (_, i) => [i + 1, i + 1]) };

  const drawChance = (chart, chance) =>
    `<path class="chance" d="M${chart.left} ${chart.toY(chance)}H${chart.right}"/>`;

  function drawBars(svg, network, recall, after, chance) {
    const chart = makeChart(svg, { ...ITEMS, label: "item" }, RECALL);
    const half = (chart.toX(2) - chart.toX(1)) * 0.38;
    const bars = recall[after].map((value, i) => `<path class="bar${i < after ? "" : " open"}" d="M` +
      `${chart.toX(i + 1) - half} ${chart.floor}V${chart.toY(value)}h${2 * half}V${chart.floor}Z"/>`);
    fill(svg, `${chart.axes}${bars.join("")}${drawChance(chart, chance)}`,
      `${network} network. ${describeRecall(recall, after)}`);
  }

  // ---- player: one button, one slider, one thing to show ------------------------------

  function attachPlayer(button, slider, show) {
    let timer = null;
    const step = (to) => {
      slider.value = to;
      if (Number(slider.value) === Number(slider.max)) stop();
      show(timer !== null);
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      button.textContent = "Play";
    };
    button.addEventListener("click", () => {
      if (timer !== null) return stop(), show(false);
      button.textContent = "Pause";
      timer = setInterval(() => step(Number(slider.value) + 1), 800);
      step(slider.value === slider.max ? 0 : Number(slider.value) + 1);
    });
    slider.addEventListener("input", () => { stop(); show(false); });
    return stop;
  }

  function setSlider(slider, value, text) {
    slider.value = value;
    slider.setAttribute("aria-valuetext", text);
    slider.parentElement.querySelector(".value").textContent = text;
  }

  const readJson = (id) => JSON.parse(document.getElementById(id).textContent);

  function startMemory(root) {
    const memory = readJson("memory-recall");
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    const summary = part("summary");
    const show = (isPlaying = false) => {
      const after = Number(part("after").value);
      setSlider(part("after"), after, `${after} of 10`);
      for (const [network, recall] of Object.entries(memory.networks))
        drawBars(part(network), network, recall, after, memory.chance);
      summary.setAttribute("aria-live", isPlaying ? "off" : "polite");
      const means = Object.entries(memory.networks)
        .map(([network, recall]) => `${network} ${twoDigits(mean(recall[after]))}`);
      summary.textContent = `Mean recall after presentation ${after} of 10: ${means.join(", ")}.`;
    };
    for (const network of Object.keys(memory.networks))
      part(network).style.setProperty("--network", STYLES[network].color);
    attachPlayer(part("play"), part("after"), show);
    new ResizeObserver(() => show()).observe(root);
  }

  window.memory = { STYLES, RECALL, ITEMS, mean, twoDigits, describeRecall, makeChart, fill,
    drawChance, attachPlayer, setSlider, readJson };
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("memory-player");
    if (root) startMemory(root);
  });
})();
