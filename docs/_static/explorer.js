// The explorer page. Needs memory.js before it; no library, no build step.
//
// Plasticity is computed here; recall and displacement come from map.json, which
// docs/explorer/make_map.py wrote. Reading order: numbers, words, drawing, explorer.
"use strict";

(() => {
  const { STYLES, RECALL, ITEMS, mean, twoDigits, describeRecall, makeChart, fill, drawChance,
    attachPlayer, setSlider, readJson } = window.memory;

  // ---- numbers: pure ----------------------------------------------------------------

  /** p = sech^2(a) with a = kappa (1 - f)/f |x|, without cancellation; a rigid synapse has 0. */
  function plasticity(flexibility, kappa, x) {
    if (flexibility === 0) return 0;
    const decay = Math.exp((-2 * kappa * Math.abs(x) * (1 - flexibility)) / flexibility);
    return (4 * decay) / (1 + decay) ** 2;
  }

  /** Mean over f uniform between low and high, at the middles of n equal parts. */
  function meanPlasticity(low, high, kappa, x, n = 2000) {
    if (low === high) return plasticity(low, kappa, x);
    let sum = 0;
    for (let i = 0; i < n; i++) sum += plasticity(low + ((high - low) * (i + 0.5)) / n, kappa, x);
    return sum / n;
  }

  /** Mean recall; first and last item minus the mean of items 4 to 7, as in measure_primacy. */
  function measureEnds(curve) {
    const middle = mean(curve.slice(3, 7));
    return { mean: mean(curve), primacy: curve[0] - middle, recency: curve[9] - middle };
  }

  /** Log10 of the displacement that a share of the weights stays below, within its bin. */
  function quantile(spread, edges, share) {
    let below = 0;
    for (let i = 0; i < spread.length; i++) {
      if (below + spread[i] >= share)
        return edges[i] + ((share - below) / spread[i]) * (edges[i + 1] - edges[i]);
      below += spread[i];
    }
    return edges[edges.length - 1];
  }

  /** What was learned with this flexibility and kappa; one entry where kappa does nothing. */
  function cellOf(map, { low, high, kappa }) {
    const cells = map.cells[`${low}-${high}`];
    return cells.length === 1 ? cells[0] : cells[map.kappas.indexOf(kappa)];
  }

  const nearest = (grid, value) =>
    grid.reduce((best, level) => (Math.abs(level - value) < Math.abs(best - value) ? level : best));

  /** The state that a link asks for, on the grid; what it does not say stays as it is. */
  function readHash(hash, state, map) {
    const asked = new URLSearchParams(hash.replace(/^#/, ""));
    const read = (name, grid) =>
      asked.has(name) && Number.isFinite(Number(asked.get(name)))
        ? nearest(grid, Number(asked.get(name)))
        : state[name];
    const low = read("low", map.levels);
    const high = Math.max(low, read("high", map.levels));
    const steps = map.cells["1-1"][0].recall.map((_, step) => step);
    const log = asked.has("log") ? asked.get("log") === "1" : state.log;
    return { low, high, kappa: read("kappa", map.kappas), after: read("after", steps), log };
  }

  const writeHash = ({ low, high, kappa, after, log }) =>
    `#low=${low}&high=${high}&kappa=${kappa}&after=${after}&log=${Number(log)}`;

  // ---- words: pure ------------------------------------------------------------------

  function kindOf(low, high) {
    if (low === 0 && high === 1) return "hybrid";
    if (low !== high) return "mixture";
    return { 1: "conventional", 0.3: "stable" }[low] ?? "homogeneous";
  }

  const short = (value) => String(Number(value.toPrecision(2)));

  function describeNetwork({ low, high, kappa }) {
    const spread = low === high ? `${low} everywhere` : `uniform between ${low} and ${high}`;
    const known = { conventional: ", the conventional network", stable: ", the stable network",
      hybrid: ", the hybrid network" }[kindOf(low, high)] ?? "";
    const idle = low === high && (low === 0 || low === 1);
    const why = low === 0 ? "only biases can move" : "no weight stiffens";
    return `Flexibility ${spread}${known}; ` + (idle ? `${why}, whatever κ` : `κ = ${kappa}`);
  }

  function describeCurve({ recall }, after) {
    if (after === 0) return "Nothing has been presented yet.";
    if (after < recall.length - 1)
      return `After presentation ${after} the mean recall of what was presented is ` +
        `${twoDigits(mean(recall[after].slice(0, after)))}.`;
    const { primacy, recency } = measureEnds(recall[after]);
    const first = primacy > 0.15, last = recency > 0.15;
    if (first && last) return "Both ends of the list stand out.";
    if (first) return "The beginning of the list stands out.";
    return last ? "The end of the list stands out." : "Neither end of the list stands out.";
  }

  function describePlasticity({ low, high, kappa }) {
    const at = [0.01, 0.1, 1, 10].map((x) => `${short(meanPlasticity(low, high, kappa, x))} at ${x}`);
    return `Mean plasticity against displacement, in units of the rms displacement after the first ` +
      `presentation: ${at.join(", ")}.`;
  }

  function describeSpread(cell, map) {
    const [quarter, half, most] = [0.25, 0.5, 0.75].map((share) =>
      short(10 ** quantile(cell.spread, map.log10_edges, share)));
    return `Displacement of the weights at the end of the list, in the same unit: half of them ` +
      `below ${half}, the middle half between ${quarter} and ${most}.`;
  }

  // ---- drawing: three panels ---------------------------------------------------------

  const DISPLACEMENT = { from: -3, to: 1, label: "displacement / rms after first presentation",
    ticks: [[-3, "0.001"], [-2, "0.01"], [-1, "0.1"], [0, "1"], [1, "10"]] };
  const LINEAR = { ...RECALL, label: "plasticity" };
  const LOGARITHMIC = { from: -3, to: 0, label: "plasticity",
    ticks: [[-3, "0.001"], [-2, "0.01"], [-1, "0.1"], [0, "1"]] };

  function drawPlasticity(svg, state) {
    const { low, high, kappa, log } = state;
    const chart = makeChart(svg, DISPLACEMENT, log ? LOGARITHMIC : LINEAR);
    const places = Array.from({ length: 121 }, (_, i) => -3 + i / 30);
    const curve = (law) => {
      const points = places.map((at) => [at, law(10 ** at)]);
      if (!log) return chart.line(points);
      return chart.line(points.filter(([, p]) => p >= 0.001).map(([at, p]) => [at, Math.log10(p)]));
    };
    const thin = low === high ? "" :
      `<path class="thin lowest" d="${curve((at) => plasticity(low, kappa, at))}"/>` +
      `<path class="thin highest" d="${curve((at) => plasticity(high, kappa, at))}"/>`;
    const law = curve((at) => meanPlasticity(low, high, kappa, at));
    fill(svg, `${chart.axes}${thin}<path class="curve" d="${law}"/>`, describePlasticity(state));
  }

  function drawSpread(svg, cell, map) {
    const edges = map.log10_edges;
    const top = [0.15, 0.3, 1].find((value) => Math.max(...cell.spread) <= value);
    const ticks = [0, 1, 2, 3].map((i) => [(i * top) / 3, `${Math.round((i * top * 100) / 3)} %`]);
    const orLess = [[-3, "≤ 0.001"], ...DISPLACEMENT.ticks.slice(1)];
    const chart = makeChart(svg, { ...DISPLACEMENT, ticks: orLess },
      { from: 0, to: top, ticks, label: "weights in each ⅛ decade" });
    const steps = (spread) => chart.line([[edges[0], 0],
      ...spread.flatMap((share, i) => [[edges[i], share], [edges[i + 1], share]]), [edges.at(-1), 0]]);
    fill(svg, `${chart.axes}<path class="area" d="${steps(cell.spread)}"/>` +
      `<path class="thin lowest" d="${steps(map.cells["1-1"][0].spread)}"/>`,
      describeSpread(cell, map));
  }

  function drawRecall(svg, cell, state, chance) {
    const { after } = state;
    const recall = cell.recall[after];
    const marker = STYLES[kindOf(state.low, state.high)].marker;
    const chart = makeChart(svg, ITEMS, RECALL);
    const isEnd = after === cell.recall.length - 1;
    const trials = (isEnd ? cell.trials : []).flatMap((curve) => curve.map((value, i) =>
      `<circle class="trial" cx="${chart.toX(i + 1)}" cy="${chart.toY(value)}" r="2.5"/>`));
    const markers = recall.map((value, i) => `<path class="${i < after ? "marker" : "marker open"}" ` +
      `d="${marker}" transform="translate(${chart.toX(i + 1)} ${chart.toY(value)})"/>`);
    const shown = chart.line(recall.slice(0, after).map((value, i) => [i + 1, value]));
    fill(svg, `${chart.axes}${drawChance(chart, chance)}${trials.join("")}` +
      `<path class="curve recall" d="${shown}"/>${markers.join("")}`,
      describeRecall(cell.recall, after));
  }

  // ---- explorer ---------------------------------------------------------------------

  function startExplorer(root) {
    const map = readJson("explorer-map");
    const part = (name) => root.querySelector(`[data-part=${name}]`);
    const start = { low: 0, high: 1, kappa: map.calibrated_kappa, after: 10, log: false };
    let state = readHash(location.hash, start, map);
    let pending = null;

    function show(isPlaying = false) {
      const cell = cellOf(map, state);
      const { color, dash } = STYLES[kindOf(state.low, state.high)];
      root.style.setProperty("--network", color);
      root.style.setProperty("--network-dash", dash);
      setSlider(part("low"), map.levels.indexOf(state.low), String(state.low));
      setSlider(part("high"), map.levels.indexOf(state.high), String(state.high));
      const isDefault = state.kappa === map.calibrated_kappa;
      setSlider(part("kappa"), map.kappas.indexOf(state.kappa),
        `${state.kappa}${isDefault ? " (about the default)" : ""}`);
      setSlider(part("after"), state.after, `${state.after} of 10`);
      part("log").checked = state.log;
      drawPlasticity(part("plasticity"), state);
      drawSpread(part("spread"), cell, map);
      drawRecall(part("recall"), cell, state, map.chance);
      showNumbers(cell);
      part("values").textContent = `${state.low}, ${state.high}, ${state.kappa}`;
      part("summary").setAttribute("aria-live", isPlaying ? "off" : "polite");
      part("summary").textContent = `${describeNetwork(state)}. ${describeCurve(cell, state.after)}`;
      for (const button of root.querySelectorAll("[data-set]")) {
        const preset = readHash(button.dataset.set, state, map);
        button.setAttribute("aria-pressed", preset.low === state.low && preset.high === state.high);
      }
    }

    function showNumbers(cell) {
      const ends = measureEnds(cell.recall.at(-1)), trials = cell.trials.map(measureEnds);
      for (const name of ["mean", "primacy", "recency"]) {
        const values = trials.map((trial) => trial[name]);
        part(name).textContent = twoDigits(ends[name]);
        part(`${name}-range`).textContent =
          `${twoDigits(Math.min(...values))} to ${twoDigits(Math.max(...values))}`;
      }
    }

    // The link is written once the sliders rest: browsers limit how often it may change.
    function change(changed, isPlaying = false) {
      state = { ...state, ...changed };
      show(isPlaying);
      clearTimeout(pending);
      pending = setTimeout(() => history.replaceState(null, "", writeHash(state)), 200);
    }

    function listen(name, read) {
      part(name).addEventListener("input", (event) => change(read(event.target)));
    }

    // One end of the distribution pushes the other along.
    listen("low", ({ value }) => ({ low: map.levels[value],
      high: Math.max(map.levels[value], state.high) }));
    listen("high", ({ value }) => ({ high: map.levels[value],
      low: Math.min(map.levels[value], state.low) }));
    listen("kappa", ({ value }) => ({ kappa: map.kappas[value] }));
    listen("log", ({ checked }) => ({ log: checked }));
    const stop = attachPlayer(part("play"), part("after"),
      (isPlaying) => change({ after: Number(part("after").value) }, isPlaying));
    for (const button of root.querySelectorAll("[data-set]"))
      button.addEventListener("click", () => change(readHash(button.dataset.set, state, map)));
    part("copy").addEventListener("click", () => copyText(part("python"), part("copied")));
    // Not location.hash: a pending replaceState may have changed that since the link was followed.
    addEventListener("hashchange", ({ newURL }) => {
      const { hash } = new URL(newURL);
      if (!hash.includes("=")) return;
      stop();
      change(readHash(hash, state, map));
      root.scrollIntoView();
    });
    new ResizeObserver(() => show()).observe(root);
  }

  /** Where the clipboard is out of reach, select the text instead. */
  async function copyText(element, note) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      note.textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(element);
      note.textContent = "Selected: copy it with Ctrl+C.";
    }
  }

  window.explorer = { plasticity, meanPlasticity, measureEnds, quantile, cellOf, readHash,
    writeHash };
  document.addEventListener("DOMContentLoaded", () => {
    const root = document.getElementById("explorer-app");
    if (root) startExplorer(root);
  });
})();
