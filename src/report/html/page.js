"use strict";
(() => {
  const source = document.getElementById("data").textContent;
  // Marks that turn the direction of writing would turn that of the words around them, too.
  const data = JSON.parse(source, (_, v) => typeof v === "string" ? v.replace(/[\u202a-\u202e\u2066-\u2069]/g, "\ufffd") : v);
  const main = document.getElementById("main");

  // ---- numbers and words ----

  const number = v => v === "Infinity" ? Infinity : v === "-Infinity" ? -Infinity : typeof v === "number" ? v : NaN;
  const isKnown = v => Number.isFinite(number(v));
  const none = "–";
  const shownMinus = text => (/[1-9]/.test(text) ? text : text.replace("-", "")).replace(/-/g, "−");  // zero has none

  function figure(v, digits = 4) {
    v = number(v);
    if (Number.isNaN(v)) return none;
    if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
    const size = Math.abs(v);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return shownMinus(v.toExponential(digits - 1));
    const decimals = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
    return shownMinus(v.toFixed(Math.min(decimals, 8)));
  }
  const percent = (v, decimals = 1) => isKnown(v) ? shownMinus((100 * number(v)).toFixed(decimals)) + "\u00a0%" : figure(v);
  const count = v => Number.isInteger(v) ? String(v) : figure(v, 3);
  const factor = v => isKnown(v) ? shownMinus(number(v).toFixed(3)) : figure(v);
  const seconds = v => isKnown(v) ? figure(v) + "\u00a0s" : figure(v);
  const range = (interval, show = figure) => interval ? `[${show(interval.lower)},\u00a0${show(interval.upper)}]` : "";
  const percentRange = interval => interval ? `[${[interval.lower, interval.upper].map(v => percent(v).replace("\u00a0%", "")).join(",\u00a0")}]\u00a0%` : "";
  const withRange = (e, show = figure) => e ? `${show(e.value)} ${range(e.interval, show)}`.trim() : none;
  const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const short = (text, most = 22) => {
    const characters = [...String(text)];
    return characters.length > most ? characters.slice(0, most - 1).join("") + "…" : String(text);
  };
  const symbols = {s: "s", alpha: "α", beta: "β", delta: "δ"};
  const confidence = () => {
    for (const row of rows) if (row.time_s && row.scaling && row.scaling.speedup.interval)
      return Math.round(100 * row.scaling.speedup.interval.confidence);
    return 95;
  };

  // ---- elements: texts are only ever text ----

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "on") for (const [event, f] of Object.entries(value)) element.addEventListener(event, f);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
    }
    for (const child of children) if (child !== null && child !== undefined) element.append(child);
    return element;
  }

  const contents = [];
  function section(id, title) {
    contents.push([id, title]);
    const element = make("section", {id, "aria-labelledby": id + "-title"}, make("h2", {id: id + "-title"}, title));
    main.append(element);
    return element;
  }

  /// columns: { head, text, long }; cells: a text, or [text, interval] to be shown below it.
  function table(caption, columns, lines, marked = () => false) {
    const head = make("tr", {}, ...columns.map(c => make("th", {scope: "col", class: c.text && "text"}, c.head)));
    const body = make("tbody", {}, ...lines.map((cells, at) => make("tr", {class: marked(at) && "mark"}, ...cells.map((cell, i) => {
      const [text, interval] = Array.isArray(cell) ? cell : [cell, ""];
      const kind = [columns[i].text && "text", columns[i].long && "long"].filter(Boolean).join(" ") || undefined;
      return make(i === 0 ? "th" : "td", {scope: i === 0 && "row", class: kind}, String(text),
                  interval ? make("span", {class: "interval"}, interval) : null);
    }))));
    return make("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption},
                make("table", {}, make("caption", {}, make("span", {}, caption)), make("thead", {}, head), body));
  }

  /// Its table is made when it is opened: those of a thousand ranks would make the page slow.
  function folded(title, content) {
    const details = make("details", {}, make("summary", {}, title));
    details.addEventListener("toggle", () => { if (details.open && details.children.length === 1) details.append(content()); });
    return details;
  }

  function copyButton(target, what) {
    const button = make("button", {type: "button", "aria-label": "Copy " + what}, "Copy");
    button.addEventListener("click", async () => {
      let done = false;
      try {
        await navigator.clipboard.writeText(target.textContent);
        done = true;
      } catch {
        const selection = getSelection();
        selection.selectAllChildren(target);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    return button;
  }

  function code(text, what, wrap) {
    const pre = make("pre", {tabindex: 0, class: wrap && "wrap", "aria-label": what}, text);
    return make("div", {class: "code"}, pre, copyButton(pre, what));
  }

  // ---- charts ----

  let isPrinting = false;
  const charts = [];  // { canvas, config, size }
  const css = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const faded = (color, alpha) => color + Math.round(255 * alpha).toString(16).padStart(2, "0");

  /// The intervals of a dataset, as whiskers.
  const whiskers = {
    id: "whiskers",
    afterDatasetsDraw(chart) {
      const {ctx, chartArea: area} = chart;
      ctx.save();
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      chart.data.datasets.forEach((set, i) => {
        if (!set.intervals || !chart.isDatasetVisible(i)) return;
        ctx.strokeStyle = set.borderColor;
        ctx.lineWidth = 1.5;
        chart.getDatasetMeta(i).data.forEach((element, at) => {
          const interval = set.intervals[at];
          if (!interval) return;
          const pixel = v => Math.min(1e5, Math.max(-1e5, chart.scales.y.getPixelForValue(number(v))));
          const lower = pixel(interval.lower), upper = pixel(interval.upper), x = element.x;
          ctx.beginPath();
          ctx.moveTo(x, lower);
          ctx.lineTo(x, upper);
          for (const y of [lower, upper]) {
            ctx.moveTo(x - 5, y);
            ctx.lineTo(x + 5, y);
          }
          ctx.stroke();
        });
      });
      ctx.restore();
    },
  };

  function title(text) { return {display: true, text, color: css("quiet")}; }

  function axis(more, text) {
    return {...more, title: title(text), grid: {color: css("grid"), borderColor: css("line"), tickColor: css("line")},
            ticks: {color: css("quiet"), ...more.ticks}};
  }

  function processorAxis(values) {
    const at = [...new Set(values)].sort((a, b) => a - b);
    const first = at[0], last = at[at.length - 1];
    const margin = first === last ? 2 : Math.pow(last / first, 0.03);
    return axis({
      type: "logarithmic", min: first / margin, max: last * margin,
      // A tick a point, but for those that would overlap.
      afterBuildTicks: scale => {
        const gap = 40 / Math.max(100, scale.chart.width - 80) * Math.log(last / first);
        const kept = [];
        for (const value of [...at].reverse()) {
          if (!kept.length || Math.log(kept[kept.length - 1] / value) >= gap) kept.push(value);
        }
        scale.ticks = kept.reverse().map(value => ({value}));
      },
      ticks: {callback: count, maxRotation: 0, autoSkip: false},
    }, hasThreads ? "processors (ranks × threads)" : "ranks");
  }

  /// Logarithmic, around the values, with ticks at 1, 2 and 5 times powers of ten.
  function logAxis(values, text) {
    const shown = values.filter(v => Number.isFinite(v) && v > 0);
    const least = Math.min(...shown), most = Math.max(...shown);
    if (most / least < 1.6) {  // as in weak scaling: ticks of a logarithmic axis would be too few
      const space = Math.max(0.05 * most, most - least);
      return axis({type: "linear", min: Math.max(0, least - space), max: most + space, ticks: {includeBounds: false}}, text);
    }
    const min = least / 1.25, max = most * 1.25;
    const ticks = [];
    const factors = most / least > 3e3 ? [1] : most / least < 3 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : [1, 2, 5];
    for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); ++e) {
      for (const f of factors) {
        const value = f * 10 ** e;
        if (value >= min && value <= max) ticks.push({value});
      }
    }
    return axis({type: "logarithmic", min, max, afterBuildTicks: scale => { scale.ticks = ticks; },
                 ticks: {callback: v => Number(v.toPrecision(6)).toString(), autoSkip: true}}, text);
  }

  function options(x, y, more = {}) {
    return {
      responsive: true, maintainAspectRatio: false, animation: false, normalized: true,
      ...(isPrinting ? {devicePixelRatio: 2} : {}),
      interaction: {mode: "point", intersect: true},
      scales: {x, y},
      ...more,
      plugins: {
        legend: {display: false},  // showLegend's buttons
        tooltip: {
          backgroundColor: css("text"), titleColor: css("card"), bodyColor: css("card"), displayColors: false, padding: 10,
          // One of a series, and where there is a median none of its repetitions, which lie below it.
          filter: (item, _, items) => items.find(i => i.datasetIndex === item.datasetIndex) === item &&
                                      !(item.dataset.isDetail && items.some(i => i.dataset.intervals)),
          itemSort: (a, b) => a.datasetIndex - b.datasetIndex,
          callbacks: {
            title: items => items.length ? items[0].dataset.titles?.[items[0].dataIndex] ?? "" : "",
            label: item => item.dataset.words?.[item.dataIndex] ?? `${item.dataset.label}: ${figure(item.parsed.y)}`,
          },
        },
        ...more.plugins,
      },
    };
  }

  const marks = {
    circle: "M8 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0", triangle: "M12 1.5L16.5 10H7.5Z", rect: "M8.5 2.5h7v7h-7Z", rectRot: "M12 1.2L16.8 6L12 10.8L7.2 6Z",
    star: "M12 2V10M8 6H16M9.2 3.2L14.8 8.8M9.2 8.8L14.8 3.2", crossRot: "M9 3L15 9M9 9L15 3", line: "M1 6H23",
  };

  function markOf(set) {
    const color = set.borderColor === "transparent" ? set.backgroundColor : set.borderColor;
    const mark = document.getElementById("mark").content.firstElementChild.cloneNode(true), path = mark.firstElementChild;
    path.setAttribute("d", marks[set.pointStyle] ?? marks.circle);
    for (const paint of ["fill", "stroke"]) path.setAttribute(paint, color);
    if (set.borderDash) path.setAttribute("stroke-dasharray", set.borderDash.join(" "));
    return mark;
  }

  /// Of buttons, which keyboards and screen readers reach: Chart.js's own is pixels.
  function showLegend(c) {
    const named = c.drawn.data.datasets.map((set, i) => ({set, i, key: i + set.label})).filter(({set}) => set.label);
    c.legend.replaceChildren(...(named.length < 2 ? [] : named.map(({set, i, key}) => {
      const button = make("button", {type: "button"}, markOf(set), set.label);
      const show = () => {
        c.drawn.setDatasetVisibility(i, !c.hidden.has(key));
        button.setAttribute("aria-pressed", !c.hidden.has(key));
      };
      button.addEventListener("click", () => {
        if (!c.hidden.delete(key)) c.hidden.add(key);
        show();
        c.drawn.update();
      });
      show();
      return button;
    })));
    if (c.hidden.size) c.drawn.update();
  }

  /// A chart with its title, an explanation, and its table. `label`: what it shows, for those who do not see it.
  function chart(parent, {id, heading, note, label, height = 340, wide = false, hasLegend = true, config, rows: lines, tools}) {
    const canvas = make("canvas", {id, role: "img", "aria-label": label}, label);
    const plot = make("div", {class: "plot"}, canvas);
    plot.style.height = height + "px";
    const legend = hasLegend ? make("div", {class: "legend", role: "group", "aria-label": "Shown in the chart: " + heading}) : null;
    parent.append(make("figure", {class: wide && "wide"}, make("figcaption", {}, make("h3", {}, heading),
                  note ? make("p", {class: "note"}, note) : null), tools, plot, legend, lines ? folded("Figures of this chart", lines) : null));
    charts.push({canvas, config, height, wide, legend, hidden: new Set(), small: parent.classList.contains("small")});
  }

  function absent(parent, heading, why) {
    parent.append(make("figure", {}, make("figcaption", {}, make("h3", {}, heading)), make("p", {class: "absent"}, why)));
  }

  /// All charts before the legends: a chart measures its place, which anything new on the page would have laid out again.
  function draw(which = charts) {
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    for (const c of which) {
      c.drawn?.destroy();
      c.drawn = new Chart(c.canvas, c.config());
    }
    for (const c of which) if (c.legend) showLegend(c);
  }

  // ---- the study ----

  const rows = data.rows, points = data.points, runs = data.runs, models = data.models;
  const measured = rows.filter(r => r.time_s && number(r.time_s.value) > 0);
  const hasThreads = rows.some(r => r.threads > 1);
  const isWeak = data.scaling === "weak";
  const baseline = data.baseline === null ? null : rows[data.baseline];
  const scaled = measured.filter(r => r.scaling);
  const level = confidence();
  const shapes = ["circle", "triangle", "rect", "rectRot", "star", "crossRot"];
  const series = ["c1", "c7", "c6", "c8", "c5", "c3"];
  const modelColors = {"Amdahl": "c2", "universal scalability": "c4", "logarithmic overhead": "c3", "Gustafson": "c5"};

  /// Rows to be joined by a line: one a number of threads, unless each of these has one point, at processors of its own.
  function groups(of) {
    const by = new Map();
    for (const row of of) by.set(row.threads, [...(by.get(row.threads) ?? []), row]);
    const areApart = new Set(of.map(r => r.processors)).size === of.length;
    if (by.size === 1 || (by.size === of.length && areApart)) return [{name: "", rows: of}];
    return [...by].sort((a, b) => a[0] - b[0]).map(([threads, rows]) => ({name: ", " + plural(threads, "thread") + " a rank", rows}));
  }

  /// The medians of `pick(row)`, an estimate, as points with whiskers; joined where no models' curves are there to follow.
  function estimates(of, pick, name, show, color, hasCurves = false) {
    return groups(of).map((group, i) => {
      const paint = css(color ?? series[i % series.length]);
      return {
        label: name + group.name, data: group.rows.map(r => ({x: r.processors, y: number(pick(r).value)})),
        intervals: group.rows.map(r => pick(r).interval), titles: group.rows.map(r => r.label),
        words: group.rows.map(r => `${name}: ${withRange(pick(r), show)}, n = ${r.repetitions}`),
        borderColor: paint, backgroundColor: paint, borderWidth: 2, showLine: !(hasCurves && models.length), pointRadius: 4, pointHoverRadius: 6, pointHitRadius: 8, order: 1,
        pointStyle: shapes[i % shapes.length], borderDash: i > 0 && color ? [5, 3] : undefined,
      };
    });
  }

  // Models leave out points, as oversubscribed ones: beyond the last that they are fitted to they extrapolate.
  const lastFitted = Math.max(0, ...data.forecasts.filter(f => f.measured).map(f => number(f.processors)));
  const lastCurve = Math.max(0, ...measured.map(r => r.processors), ...data.forecasts.map(f => number(f.processors)));
  const firstMeasured = measured.length ? Math.min(...measured.map(r => r.processors)) : 1;

  function line(label, color, at, more = {}) {
    return {label, data: at, borderColor: color, backgroundColor: color, borderWidth: 1.6, pointRadius: 0, pointHitRadius: 3, pointStyle: "line",
            order: 3, ...more};
  }

  /// Of each model what `f(processors, seconds)` says, dashed beyond what it is fitted to; and the band of the preferred.
  function curves(f, show) {
    const sets = [];
    models.forEach((model, i) => {
      const color = css(modelColors[model.name] ?? "c5");
      const isPreferred = i === data.preferred;
      sets.push(line(model.name + (isPreferred ? " (preferred)" : ""), color,
                     model.curve.map(([p, t]) => ({x: p, y: f(p, number(t))})), {
                       segment: {borderDash: c => c.p0.parsed.x >= lastFitted ? [6, 4] : undefined},
                       borderWidth: isPreferred ? 2.2 : 1.4, order: isPreferred ? 2 : 3,
                       titles: model.curve.map(([p]) => figure(p, 3) + " processors" + (p > lastFitted ? ", extrapolated" : "")),
                       words: model.curve.map(([p, t]) => `${model.name}: ${show(f(p, number(t)))}`),
                     }));
    });
    const shown = models[data.preferred ?? (models.length === 1 ? 0 : -1)];
    const band = shown?.curve.filter(c => c.length === 4);
    if (band?.length) {
      const color = css(modelColors[shown.name] ?? "c5");
      // Neither 0 nor infinity has a place on a logarithmic axis: far outside of the chart will do.
      const edge = k => band.map(c => {
        const middle = f(c[0], number(c[1])), v = f(c[0], number(c[k]));
        return {x: c[0], y: Math.min(1e4 * middle, Math.max(1e-4 * middle, v))};
      });
      const none = {borderWidth: 0, pointRadius: 0, pointHitRadius: 0, order: 5};
      sets.push({...none, label: "", data: edge(2), isBand: true});
      sets.push({...none, label: `95 % prediction interval, ${shown.name}`, data: edge(3), isBand: true,
                 fill: "-1", backgroundColor: faded(color, 0.15), borderColor: "transparent", pointStyle: "rect"});
    }
    return sets;
  }

  /// Where an axis begins and ends for estimates with their intervals; one that is far wider than the values is cut.
  function around(estimates) {
    const middle = estimates.map(e => number(e.value));
    const reach = Math.max(0.01, 4 * (Math.max(...middle) - Math.min(...middle)));
    const ends = estimates.flatMap(e => e.interval ? [number(e.interval.lower), number(e.interval.upper)] : []);
    const within = ends.map(v => Math.min(Math.max(...middle) + reach, Math.max(Math.min(...middle) - reach, v)));
    const all = [...middle, ...within].filter(Number.isFinite);
    const least = Math.min(0, ...all), most = Math.max(...all), space = 0.06 * (most - least) || 0.01;
    return {min: least < 0 ? least - space : 0, max: most + space};
  }

  const values = sets => sets.filter(s => !s.isBand).flatMap(s => s.data.map(d => d.y));
  /// And the ends of their intervals, as far as these are not `reach` times as far out: one run is not to make the rest small.
  function withEnds(sets, reach) {
    const shown = values(sets).filter(v => Number.isFinite(v) && v > 0);
    const least = Math.min(...shown) / reach, most = Math.max(...shown) * reach;
    const ends = sets.flatMap(s => s.intervals ?? []).filter(Boolean).flatMap(i => [number(i.lower), number(i.upper)]);
    return [...shown, ...ends.filter(v => !Number.isNaN(v)).map(v => Math.min(most, Math.max(least, v)))];
  }
  const curveEnds = () => [...measured.map(r => r.processors), ...data.forecasts.map(f => number(f.processors))];
  const medianWords = `Points are medians with their ${level} % intervals`;
  const fewWords = () => {
    const few = measured.filter(r => r.repetitions < data.fewest_for_interval);
    if (!few.length) return "";
    const where = few.length === measured.length ? "No point has" : few.map(r => r.label).join(", ") + (few.length === 1 ? " has" : " have");
    return ` ${where} ${few.length === measured.length ? "" : "fewer than "}${few.length === measured.length ? "the " : ""}${
      data.fewest_for_interval} repetitions that an interval needs.`.replace("  ", " ");
  };

  /// The data would have it beyond what the model allows, so nothing is known of how far off it is.
  const isAtBound = (model, coefficient) => model.degrees_of_freedom > 0 && !coefficient.interval;

  // ---- head ----

  const dates = runs.map(r => r.started_at).filter(Boolean).sort();
  const hosts = [...new Set(runs.map(r => r.host).filter(Boolean))];
  const good = runs.filter(r => !r.error && !r.warmup).length;
  const failed = runs.filter(r => r.error);
  const day = text => text.replace("T", " ").replace(/Z$/, " UTC");
  document.getElementById("meta").textContent = [
    dates.length ? day(dates[0]) + (dates.length > 1 && dates[dates.length - 1] !== dates[0] ? " to " + day(dates[dates.length - 1]) : "") : "no runs",
    isWeak ? "weak scaling" + (data.weak ? ": work = " + data.weak : "") : "strong scaling",
    plural(points.length, "point"), plural(good, "run") + (failed.length ? ` and ${failed.length} that failed` : ""),
    hosts.length === 1 ? "on " + short(hosts[0], 60) : hosts.length ? "first ranks on " + plural(hosts.length, "host") : "",
  ].filter(Boolean).join(" · ");

  for (const sentence of data.summary) main.append(make("p", {class: "lead"}, sentence));

  if (scaled.length > 1) {
    const best = scaled.filter(r => r !== baseline).reduce((a, b) => number(b.scaling.speedup.value) > number(a.scaling.speedup.value) ? b : a);
    const hours = runs.reduce((sum, r) => sum + (number(r.launch_to_exit_s) || 0) * (points[r.point]?.nodes ?? 0) / 3600, 0);
    const card = (name, value, more) => make("div", {class: "card"}, make("div", {class: "name"}, name), make("div", {class: "value"}, value),
                                             make("div", {class: "more"}, more || " "));
    const cards = [
      card(isWeak ? "largest scaled speedup" : "largest speedup", figure(best.scaling.speedup.value, 3) + "×",
           [best.label, range(best.scaling.speedup.interval, v => figure(v, 3))].filter(Boolean).join(" ")),
      card("efficiency there", percent(best.scaling.efficiency.value), percentRange(best.scaling.efficiency.interval)),
      card("time there", seconds(best.time_s.value), "baseline " + seconds(baseline.time_s.value)),
    ];
    if (data.preferred !== null) {
      const c = models[data.preferred].coefficients[0];
      cards.push(card("serial fraction", percent(c.value, 2), models[data.preferred].name + " model" + (isAtBound(models[data.preferred], c) ? ", at its bound" : "")));
    }
    if (hours > 0) cards.push(card("cost of all runs", figure(hours, 3), "node-hours"));
    main.append(make("div", {class: "cards"}, ...cards));
  }

  const warnings = [...data.warnings];
  if (warnings.length) {
    const box = section("warnings", "Warnings");
    box.append(make("ul", {class: "warnings"}, ...warnings.map(w => make("li", {}, w))));
  }
  if (data.notes.length) {
    const box = section("notes", "Notes");
    box.append(make("ul", {class: "notes"}, ...data.notes.map(n => make("li", {}, n))));
  }
  {
    const box = section("command", "The command");
    box.append(make("p", {class: "note"}, "This makes the study again."), code(data.command_line, "the command", true));
  }

  // ---- results ----

  {
    const box = section("results", "Results");
    if (!rows.length) box.append(make("p", {class: "absent"}, "The study has no points."));
    else {
      const cell = (e, show, bounds) => e ? [show(e.value), bounds ? bounds(e.interval) : range(e.interval, show)] : none;
      box.append(make("div", {class: "panel"}, table(
        `Medians, with ${level} % intervals below; speedup and efficiency relative to ${baseline ? baseline.label : "a baseline, which did not run"}` +
            (isWeak ? "; speedup is scaled: work grows with processors" : ""),
        [{head: "nodes"}, {head: "ranks"}, {head: "threads"}, {head: "n"}, {head: "time s"}, {head: "speedup"}, {head: "efficiency"},
         {head: isWeak ? "serial fraction" : "Karp–Flatt"}, {head: "load balance"}, {head: "communication"}, {head: "elapsed s"}, {head: "% CPU"},
         {head: "node-hours"}],
        rows.map(r => [r.nodes, r.ranks, r.threads, r.failures ? [r.repetitions, r.failures + " failed"] : r.repetitions, cell(r.time_s, figure),
                       cell(r.scaling?.speedup, v => figure(v, 4)), cell(r.scaling?.efficiency, percent, percentRange), cell(r.scaling?.serial_fraction, factor),
                       cell(r.pop?.load_balance, factor), cell(r.pop?.communication, factor), figure(r.elapsed_s),
                       isKnown(r.cpu_percent) ? number(r.cpu_percent).toFixed(0) : none, figure(r.node_hours, 3)]),
        at => at === data.baseline)));
      const notes = [fewWords().trim(), `${none}: not measured, or not defined there.`, baseline ? "The baseline is shaded; it has speedup 1 by definition." : ""];
      box.append(make("p", {class: "note"}, notes.filter(Boolean).join(" ")));
    }
  }

  const scalingSection = section("scaling", "Time, speedup, efficiency");
  const scalingGrid = make("div", {class: "grid"});
  scalingSection.append(scalingGrid);
  const modelWords = models.length ? " Curves are models, dashed where they extrapolate." : " No model could be fitted: these need points at more numbers of processors.";
  const summaryOf = (of, pick, show) => of.map(r => `${r.label}: ${show(pick(r))}`).join("; ");

  if (!measured.length) absent(scalingGrid, "Time", "No run succeeded, so there are no times to draw.");
  else {
    chart(scalingGrid, {
      id: "time", wide: true, height: 420, heading: "Time",
      note: `${medianWords}; small dots are all repetitions.${fewWords()}${modelWords}`,
      label: "Time against processors. " + summaryOf(measured, r => r.time_s, e => withRange(e, seconds)),
      config: () => {
        const medians = estimates(measured, r => r.time_s, "median", seconds, undefined, true);
        const dots = measured.map(r => points[r.point].runs.map(run => ({x: r.processors, y: number(run.time_s), run, row: r}))).flat();
        const sets = [...medians, {
          label: "each repetition", isDetail: true, data: dots, showLine: false, pointRadius: 2.2, pointHitRadius: 2, backgroundColor: faded(css("c1"), 0.45),
          borderColor: "transparent", order: 2, titles: dots.map(d => d.row.label), words: dots.map(d => `run ${d.run.sequence}: ${seconds(d.y)}`),
        }];
        if (baseline?.time_s) {
          const t0 = number(baseline.time_s.value), p0 = baseline.processors;
          const ideal = p => isWeak ? t0 : t0 * p0 / p;
          sets.push(line("ideal", css("ideal"), [firstMeasured, lastCurve].map(x => ({x, y: ideal(x)})), {borderDash: [2, 3], order: 4}));
        }
        sets.push(...curves((p, t) => t, seconds));
        return {type: "line", data: {datasets: sets}, plugins: [whiskers],
                options: options(processorAxis(curveEnds()), logAxis(withEnds(sets, 4), "time, s"))};
      },
      rows: () => {
        const box = make("div", {}, table("Times by point, s", [{head: "point", text: true}, {head: "n"}, {head: "median"}, {head: "least"}, {head: "lower quartile"},
                          {head: "upper quartile"}, {head: "most"}, {head: "CV"}, {head: "outliers"}],
                         measured.map(r => [r.label, r.repetitions, [figure(r.time_s.value), range(r.time_s.interval)], figure(r.spread?.minimum), figure(r.spread?.lower_quartile),
                                            figure(r.spread?.upper_quartile), figure(r.spread?.maximum), percent(r.spread?.coefficient_of_variation),
                                            r.spread?.outliers ?? none])));
        if (models.length) box.append(table("What the models say, s; more than " + lastFitted + " processors are extrapolated",
            [{head: "processors"}, ...models.map(m => ({head: m.name})), {head: "all intervals"}],
            data.forecasts.map(f => [count(f.processors) + (f.measured ? "" : " *"), ...f.predictions.map(p => [figure(p.time_s), range(p.interval)]), range(f.envelope) || none])));
        return box;
      },
    });
  }

  if (!scaled.length) {
    if (measured.length) absent(scalingGrid, "Speedup and efficiency", "The baseline has no times, so there is nothing to divide by.");
  } else {
    const t0 = number(baseline.time_s.value), p0 = baseline.processors;
    const speedupOf = (p, t) => (isWeak ? p / p0 : 1) * t0 / t;
    chart(scalingGrid, {
      id: "speedup", heading: isWeak ? "Scaled speedup" : "Speedup",
      note: `Ratios of medians, ${level} % intervals by a joint bootstrap.`,
      label: "Speedup against processors. " + summaryOf(scaled, r => r.scaling.speedup, withRange),
      config: () => {
        const sets = estimates(scaled, r => r.scaling.speedup, "speedup", v => figure(v), undefined, true);
        sets.push(line("ideal", css("ideal"), [firstMeasured, lastCurve].map(x => ({x, y: x / p0})), {borderDash: [2, 3], order: 4}));
        sets.push(...curves(speedupOf, v => figure(v)));
        const y = logAxis(withEnds(sets, 4), "speedup");
        const max = y.max, min = y.min;
        const powers = [];
        for (let e = Math.ceil(Math.log2(min)); 2 ** e <= max; ++e) powers.push({value: 2 ** e});
        if (powers.length > 2 && y.type === "logarithmic") y.afterBuildTicks = scale => { scale.ticks = powers; };
        return {type: "line", data: {datasets: sets}, plugins: [whiskers], options: options(processorAxis(curveEnds()), y)};
      },
      rows: () => table("Speedup", [{head: "point", text: true}, {head: "speedup"}, {head: "lower"}, {head: "upper"}, {head: "ideal"}],
                        scaled.map(r => [r.label, figure(r.scaling.speedup.value), figure(r.scaling.speedup.interval?.lower), figure(r.scaling.speedup.interval?.upper),
                                         figure(r.processors / p0)])),
    });
    chart(scalingGrid, {
      id: "efficiency", heading: "Efficiency",
      note: "Speedup over its ideal; the dotted line is the 80 % that POP calls acceptable.",
      label: "Efficiency against processors. " + summaryOf(scaled, r => r.scaling.efficiency, e => withRange(e, percent)),
      config: () => {
        const sets = estimates(scaled, r => r.scaling.efficiency, "efficiency", percent, undefined, true);
        sets.push(line("ideal", css("ideal"), [firstMeasured, lastCurve].map(x => ({x, y: 1})), {borderDash: [2, 3], order: 4}));
        sets.push(line("", css("ideal"), [firstMeasured, lastCurve].map(x => ({x, y: 0.8})), {borderDash: [1, 4], order: 4, pointHitRadius: 0}));
        sets.push(...curves((p, t) => speedupOf(p, t) * p0 / p, percent));
        const most = Math.max(1, ...withEnds(sets, 2));
        return {type: "line", data: {datasets: sets}, plugins: [whiskers], options: options(processorAxis(curveEnds()),
                axis({type: "linear", min: 0, max: Math.ceil(most * 10.5) / 10, ticks: {callback: v => (100 * v).toFixed(0) + " %"}}, "efficiency"))};
      },
      rows: () => table("Efficiency", [{head: "point", text: true}, {head: "efficiency"}, {head: "lower"}, {head: "upper"}],
                        scaled.map(r => [r.label, percent(r.scaling.efficiency.value), percent(r.scaling.efficiency.interval?.lower), percent(r.scaling.efficiency.interval?.upper)])),
    });
    const fractions = scaled.filter(r => r.scaling.serial_fraction);
    if (fractions.length > 1) chart(scalingGrid, {
      id: "serial", heading: isWeak ? "Serial fraction (Gustafson)" : "Serial fraction (Karp–Flatt)", height: 280,
      note: "Flat: a serial part. Rising: overhead grows with processors. Below 0: faster than ideal, or a slow baseline.",
      label: "Serial fraction against processors. " + summaryOf(fractions, r => r.scaling.serial_fraction, e => withRange(e, v => figure(v, 3))),
      config: () => ({type: "line", data: {datasets: estimates(fractions, r => r.scaling.serial_fraction, "serial fraction", v => figure(v, 3))}, plugins: [whiskers],
                      options: options(processorAxis(fractions.map(r => r.processors)), axis({type: "linear", ...around(fractions.map(r => r.scaling.serial_fraction)), ticks: {includeBounds: false}}, "serial fraction"))}),
      rows: () => table("Serial fraction", [{head: "point", text: true}, {head: "serial fraction"}, {head: "lower"}, {head: "upper"}],
                        fractions.map(r => r.scaling.serial_fraction).map((e, i) => [fractions[i].label, figure(e.value), figure(e.interval?.lower), figure(e.interval?.upper)])),
    });
    const pops = scaled.filter(r => r.pop);
    const factors = [["load_balance", "load balance", "c1"], ["communication", "communication", "c2"], ["parallel", "parallel efficiency", "c3"],
                     ["computation_scalability", "computation scalability", "c4"]];
    if (!pops.length) absent(scalingGrid, "Load balance and communication",
                             "No factors: the program kept no record of its ranks, or no useful time was measured in every run.");
    else chart(scalingGrid, {
      id: "pop", heading: "POP’s factors", height: 280,
      note: "Load balance × communication = parallel efficiency. Computation scalability: useful time at the baseline over that here.",
      label: "POP's factors against processors. " + pops.map(r => `${r.label}: ` + factors.map(([k, n]) => `${n} ${figure(r.pop[k].value, 3)}`).join(", ")).join("; "),
      config: () => {
        const sets = factors.flatMap(([key, name, color]) => estimates(pops, r => r.pop[key], name, v => figure(v, 3), color));
        const ends = withEnds(sets, 2), most = Math.max(1, ...ends), least = Math.min(...ends);
        return {type: "line", data: {datasets: sets}, plugins: [whiskers], options: options(processorAxis(pops.map(r => r.processors)),
                axis({type: "linear", min: least > 0.55 ? 0.5 : 0, max: Math.ceil(most * 10.3) / 10}, "factor"))};
      },
      rows: () => table("POP's factors", [{head: "point", text: true}, ...factors.map(([, n]) => ({head: n})), {head: "global"}],
                        pops.map(r => [r.label, ...factors.map(([k]) => [figure(r.pop[k].value, 3), range(r.pop[k].interval, v => figure(v, 3))]), figure(r.pop.global, 3)])),
    });
  }

  // ---- models ----

  {
    const box = section("models", "Models");
    if (!models.length) box.append(make("p", {class: "absent"}, "No model could be fitted: a model needs points at as many different numbers of processors as it has coefficients."));
    else {
      const limit = data.forecasts[data.forecasts.length - 1];
      box.append(make("div", {class: "panel"}, table(
        "Fitted to the medians by weighted least squares; hold-out: what the model, fitted without the points of the most processors, predicts for them",
        [{head: "model", text: true}, {head: "coefficients ± standard error", text: true, long: true}, {head: "residual"}, {head: "AICc"}, {head: "least time at"},
         {head: "hold-out", text: true, long: true}, {head: limit ? `time on ${count(limit.processors)} processors` : "forecast"}],
        models.map((m, i) => [
          m.name + (i === data.preferred ? " (preferred)" : ""),
          m.coefficients.map(c => `${symbols[c.symbol] ?? c.symbol}\u00a0=\u00a0${figure(c.value, 3)}${isKnown(c.standard_error) ? "\u00a0±\u00a0" + figure(c.standard_error, 2) : ""} ${isAtBound(m, c) ? "(at its bound)" : range(c.interval, v => figure(v, 3))}`.trim()).join("\n"),
          percent(m.relative_residual, 2), figure(m.aicc, 4), isKnown(m.peak_processors) ? count(m.peak_processors) + (m.peak_processors === 1 ? " processor" : " processors") : none,
          m.hold_out ? `predicted ${seconds(m.hold_out.predicted.time_s)}, measured ${seconds(m.hold_out.measured_s)}: ${number(m.hold_out.relative_error) > 0 ? "+" : ""}${percent(m.hold_out.relative_error)}, ` +
            (m.hold_out.predicted.interval ? (m.hold_out.within_interval ? "within its interval" : "outside its interval") : "without an interval") : "too few points",
          limit ? [seconds(limit.predictions[i]?.time_s), range(limit.predictions[i]?.interval)] : none]),
        at => at === data.preferred)));
      box.append(make("p", {class: "note"}, (data.preferred === null ? "None is preferred: too few points to tell them apart. " : "Preferred: the smallest AICc. ") +
                      (models.some(m => m.coefficients.some(c => isAtBound(m, c))) ? "At its bound: the times would have it beyond what the model allows, as where scaling is super-linear, so it has no interval. " : "") +
                      "A wrong model’s intervals fail without a sign, so compare the hold-outs."));
    }
  }

  // ---- phases ----

  const phases = [["startup", "startup"], ["compute", "compute"], ["communicate", "communicate"], ["wait", "wait"]];
  const mostBars = 64;
  const texts = column => Array.isArray(column) ? column : column ? column.index.map(i => column.values[i]) : [];

  const byName = (a, b) => a.localeCompare(b, "en", {numeric: true});

  /// The ranks of a record by the names of their hosts, as in rack2-node7: lines of { name, depth, ranks } for each part
  /// that several hosts share, and below it each host.
  function nodesOf(ranks) {
    const tree = new Map();
    texts(ranks.host).forEach((host, rank) => {
      const parts = host.match(/[^-._]+[-._]*/g) ?? [host];
      let level = tree;
      parts.forEach((part, i) => {
        if (!level.has(part)) level.set(part, {ranks: [], below: new Map()});
        level.get(part).ranks.push(rank);
        level = level.get(part).below;
      });
    });
    const lines = [];
    const walk = (level, begin, depth) => [...level].sort((a, b) => byName(a[0], b[0])).forEach(([part, {ranks, below}]) => {
      let name = begin + part;
      while (below.size === 1) {
        const [next, one] = [...below][0];
        name += next;
        below = one.below;
      }
      lines.push({name: below.size ? name + "…" : name, depth, ranks});
      walk(below, name, depth + 1);
    });
    walk(tree, "", 0);
    return lines;
  }

  function nodeTable(ranks) {
    const column = key => (ranks[key + "_s"] ?? []).map(v => Number.isFinite(number(v)) ? number(v) : 0);
    const of = phases.map(([key]) => column(key));
    const mean = (values, at) => at.reduce((sum, i) => sum + (values[i] ?? 0), 0) / at.length;
    const most = (values, at) => Math.max(...at.map(i => values[i] ?? 0));
    return table("Ranks by node, means in s; balance: mean over longest compute time",
                 [{head: "node", text: true}, {head: "ranks"}, ...phases.map(([, name]) => ({head: name})), {head: "balance"}],
                 nodesOf(ranks).map(({name, depth, ranks: at}) => ["\u00a0\u00a0".repeat(depth) + short(name, 40), at.length, ...of.map(values => figure(mean(values, at))),
                                                                   most(of[1], at) > 0 ? factor(mean(of[1], at) / most(of[1], at)) : none]));
  }

  /// Of a record the bars of its chart: the ranks, or where there are more than fit, groups of them by compute time.
  function bars(ranks) {
    const n = ranks.rank.length, name = texts(ranks.host);
    const seconds = phases.map(([key]) => (ranks[key + "_s"] ?? []).map(v => Number.isFinite(number(v)) ? number(v) : 0));
    if (n <= mostBars) {
      // By node, whose first rank has its name.
      const several = new Set(name).size > 1;
      const at = ranks.rank.map((_, i) => i).sort((a, b) => (several ? byName(name[a], name[b]) : 0) || ranks.rank[a] - ranks.rank[b]);
      return {
        labels: at.map((i, k) => several && (k === 0 || name[at[k - 1]] !== name[i]) ? `${short(name[i], 14)}  ${ranks.rank[i]}` : String(ranks.rank[i])),
        seconds: seconds.map(column => at.map(i => column[i] ?? 0)),
        titles: at.map(i => `rank ${ranks.rank[i]} on ${short(name[i], 40)}${ranks.lost?.[i] ? " (lost)" : ""}`),
      };
    }
    const order = ranks.rank.map((_, i) => i).sort((a, b) => seconds[1][b] - seconds[1][a]);
    const edges = Array.from({length: mostBars + 1}, (_, i) => Math.round(i * n / mostBars));
    const bins = edges.slice(1).map((end, i) => order.slice(edges[i], end));
    return {
      labels: edges.slice(1).map((end, i) => `${edges[i] + 1}–${end}`), grouped: true,
      seconds: seconds.map(column => bins.map(bin => bin.reduce((sum, i) => sum + column[i], 0) / bin.length)),
      titles: bins.map((bin, i) => `means of ${plural(bin.length, "rank")}, number ${edges[i] + 1} to ${edges[i + 1]} by compute time`),
    };
  }

  function phaseBars(view, xTitle, yTitle, show, more = {}) {
    return {
      type: "bar",
      data: {labels: view.labels, datasets: phases.map(([key, name], k) => ({
        label: name, data: view.seconds[k], backgroundColor: css(key), borderWidth: 0, barPercentage: 1, categoryPercentage: view.labels.length > 24 ? 1 : 0.82,
        titles: view.titles, words: view.seconds[k].map(v => `${name}: ${show(v)}`)}))},
      options: options(axis({stacked: true, ...more}, xTitle),
                       axis({stacked: true, grid: {display: false}, ticks: {autoSkip: true, maxTicksLimit: 17}}, yTitle),
                       {indexAxis: "y", interaction: {mode: "nearest", intersect: true}}),
    };
  }

  const recorded = rows.map(r => ({row: r, record: data.records[r.point]})).filter(e => e.record?.ranks?.rank?.length);
  {
    const box = section("phases", "Where the time went");
    if (!recorded.length) box.append(make("p", {class: "absent"}, "No record of ranks: the program measured keeps none, so only the time of its whole launch is known."));
    else {
      box.append(make("p", {class: "note"}, "Of each point the run nearest to its median. Every second of a rank is in one phase. Startup is not part of the time that the study compares."),
                 make("ul", {class: "key"}, ...phases.map(([key, name]) => {
                   const swatch = make("i");
                   swatch.style.background = `var(--${key})`;
                   return make("li", {}, swatch, name);
                 })));
      const means = recorded.map(({record}) => {
        const sums = phases.map(([key]) => (record.ranks[key + "_s"] ?? []).reduce((s, v) => s + (Number.isFinite(number(v)) ? number(v) : 0), 0));
        const all = sums.reduce((a, b) => a + b, 0) || 1;
        return sums.map(s => s / all);
      });
      const shares = {labels: recorded.map(e => e.row.label), titles: recorded.map(e => e.row.label), seconds: phases.map((_, k) => means.map(m => m[k]))};
      const all = make("div", {class: "grid"});
      box.append(make("div", {class: "together"}, ...box.children, all));
      chart(all, {
        id: "shares", wide: true, hasLegend: false, heading: "Shares of all ranks’ time, by point", height: 70 + 30 * recorded.length,
        label: "Shares of phases by point. " + recorded.map((e, i) => `${e.row.label}: ` + phases.map(([, n], k) => `${n} ${percent(means[i][k], 0)}`).join(", ")).join("; "),
        config: () => phaseBars(shares, "share of the ranks’ time", "", percent, {min: 0, max: 1, ticks: {callback: v => (100 * v).toFixed(0) + " %"}}),
        rows: () => table("Shares of phases", [{head: "point", text: true}, ...phases.map(([, n]) => ({head: n}))],
                          recorded.map((e, i) => [e.row.label, ...means[i].map(v => percent(v))])),
      });
      const grid = make("div", {class: "grid small"});
      grid.style.marginTop = "16px";
      box.append(grid);
      recorded.forEach(({row, record}, i) => {
        const view = bars(record.ranks);
        const n = record.ranks.rank.length;
        const slowest = Math.max(...record.ranks.rank.map((_, r) => phases.reduce((s, [key]) => s + (number(record.ranks[key + "_s"]?.[r]) || 0), 0)));
        const lost = record.ranks.lost?.filter(Boolean).length ?? 0;
        chart(grid, {
          id: "ranks-" + i, hasLegend: false, heading: row.label + (lost ? `, ${lost} lost` : ""), height: Math.min(330, 84 + 17 * view.labels.length),
          note: view.grouped ? `${n} ranks by compute time, in ${mostBars} groups.` : "",
          label: `Phases of ${plural(n, "rank")}${lost ? `, of which ${lost} lost` : ""}; the slowest took ${seconds(slowest)}. ` + phases.map(([, name], k) => `${name} ${percent(means[i][k], 0)}`).join(", "),
          config: () => phaseBars(view, "seconds", view.grouped ? "ranks, longest compute first" : "rank", seconds),
          rows: () => {
            const r = record.ranks, host = texts(r.host), cpus = texts(r.cpus), role = texts(r.role);
            const between = r.between_nodes_messages?.some(n => number(n) > 0);
            const every = table("Every rank, s", [{head: "rank"}, {head: "host", text: true}, {head: "CPUs", text: true}, {head: "role", text: true}, {head: "tasks"}, {head: "items"},
                                           ...phases.map(([, name]) => ({head: name})), {head: "wall"}, {head: "CPU"}, {head: "memory MiB"}, {head: "lost"},
                                           ...(between ? [{head: "messages between nodes"}, {head: "KiB between nodes"}] : [])],
              r.rank.map((rank, k) => [rank, host[k] ?? none, cpus[k] ?? none, role[k] ?? none, r.tasks?.[k] ?? none, r.items?.[k] ?? none, ...phases.map(([key]) => figure(r[key + "_s"]?.[k])),
                                       figure(r.wall_s?.[k]), figure(r.cpu_s?.[k]), figure((number(r.max_rss_bytes?.[k])) / 1048576, 3), r.lost?.[k] ? "lost" : "",
                                       ...(between ? [r.between_nodes_messages[k] ?? none, figure(number(r.between_nodes_bytes?.[k]) / 1024, 3)] : [])]));
            return new Set(host).size > 1 ? make("div", {}, nodeTable(r), every) : every;
          },
        });
      });
      const missing = rows.filter(r => !recorded.some(e => e.row === r));
      if (missing.length) box.append(make("p", {class: "absent"}, "Without a record: " + missing.map(r => r.label).join(", ") + "."));
    }
  }

  // ---- others' figures ----

  if (data.beside.length) {
    const box = section("beside", "Beside others’ figures");
    box.append(make("p", {class: "note"}, "Speedup of either side is against its own fewest processors: it compares how the two scale, the times how fast they are."));
    const grid = make("div", {class: "grid"});
    box.append(grid);
    data.beside.forEach((other, i) => {
      const time = other.is_elapsed ? "elapsed s" : "time s";
      const sides = [["study", "this study", "c1"], ["other", "theirs", "c2"]];
      const all = other.rows.flatMap(r => sides.map(([side]) => r[side]?.speedup)).filter(isKnown);
      chart(grid, {
        id: "beside-" + i, wide: true, heading: other.title,
        note: other.is_elapsed ? "Speedup by elapsed times, from launch to exit." : "",
        label: `Speedup beside ${other.title}. ` + other.rows.map(r => `${count(r.processors)} processors: ` +
               sides.filter(([side]) => r[side]).map(([side, name]) => `${name} ${figure(r[side].speedup, 3)}`).join(", ")).join("; "),
        config: () => {
          const at = other.rows.map(r => r.processors);
          const sets = sides.map(([side, name, color], k) => {
            const of = other.rows.filter(r => r[side]);
            return line(name, css(color), of.map(r => ({x: r.processors, y: number(r[side].speedup)})), {
              pointRadius: 4, pointHitRadius: 8, pointStyle: shapes[k], order: 1, titles: of.map(r => plural(r.processors, "processor")),
              words: of.map(r => `${name}: ${figure(r[side].speedup, 3)}, ${seconds(r[side].time_s)}`)});
          });
          const first = Math.min(...at), last = Math.max(...at);
          sets.push(line("ideal", css("ideal"), [first, last].map(x => ({x, y: x / first})), {borderDash: [2, 3], order: 4}));
          return {type: "line", data: {datasets: sets}, options: options(processorAxis(at), logAxis([...all, 1, last / first], "speedup"))};
        },
        rows: () => table(other.title, [{head: "processors"}, ...sides.flatMap(([, name]) => [{head: `${time}, ${name}`}, {head: "speedup"}, {head: "efficiency"}, {head: "% CPU"}]), {head: "theirs / ours"}],
                          other.rows.map(r => [count(r.processors), ...sides.flatMap(([side]) => r[side] ? [figure(r[side].time_s), figure(r[side].speedup, 3), percent(r[side].efficiency),
                                               isKnown(r[side].cpu_percent) ? number(r[side].cpu_percent).toFixed(0) : none] : [none, none, none, none]),
                                               r.study && r.other ? figure(number(r.other.time_s) / number(r.study.time_s), 3) : none])),
      });
    });
  }

  // ---- runs in their order ----

  const palette = ["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"];
  {
    const box = section("order", "Runs in their order");
    const medianOf = new Map(rows.map(r => [r.point, number(r.time_s?.value)]));
    const timed = runs.filter(r => !r.error && number(r.time_s) > 0 && medianOf.get(r.point) > 0);
    const pointName = i => points[i]?.label ?? "unknown point";
    if (!timed.length) box.append(make("p", {class: "absent"}, "No run succeeded."));
    else {
      let by = "point";
      const choice = make("select", {id: "order-by", on: {change: () => {
        by = choice.value;
        const c = charts.find(c => c.canvas.id === "runs");
        c.hidden.clear();
        draw([c]);
      }}}, make("option", {value: "point"}, "point"), make("option", {value: "host"}, "host of the first rank"));
      chart(box, {
        id: "runs", wide: true, heading: "Time over its point’s median", height: 330,
        note: "A slope is drift of the machine; a group apart is a slow host. Hollow: warm-up. Red crosses at the bottom: failed.",
        label: `Time of ${plural(timed.length, "run")} over the median of their point, in the order of running; from ` +
               `${figure(Math.min(...timed.map(r => number(r.time_s) / medianOf.get(r.point))), 3)} to ${figure(Math.max(...timed.map(r => number(r.time_s) / medianOf.get(r.point))), 3)}; ${plural(failed.length, "failure")}`,
        tools: make("div", {class: "toolbar"}, make("label", {for: "order-by"}, "Colour by"), choice),
        config: () => {
          const key = r => by === "host" ? r.host : String(r.point);
          const keys = [...new Set((by === "host" ? timed.map(key) : rows.map(r => String(r.point)).filter(k => timed.some(t => key(t) === k))))];
          const most = 24;
          const sets = keys.slice(0, most).map((k, i) => {
            const of = timed.filter(r => key(r) === k || (keys.length > most && i === most - 1 && keys.indexOf(key(r)) >= most))
              .sort((a, b) => a.warmup - b.warmup);  // the first is the legend's
            const color = css(palette[i % palette.length]);
            return {
              label: i === most - 1 && keys.length > most ? "others" : by === "host" ? short(k || "unknown") : pointName(Number(k)), showLine: false,
              data: of.map(r => ({x: r.sequence, y: number(r.time_s) / medianOf.get(r.point)})), borderColor: color,
              backgroundColor: of.map(r => r.warmup ? "transparent" : color), pointBackgroundColor: of.map(r => r.warmup ? "transparent" : color),
              pointStyle: shapes[Math.floor(i / palette.length) % shapes.length], pointRadius: 4, pointHitRadius: 4,
              titles: of.map(r => `run ${r.sequence}: ${pointName(r.point)}${r.warmup ? ", warm-up" : ""}`),
              words: of.map(r => `${seconds(r.time_s)}, ${figure(number(r.time_s) / medianOf.get(r.point), 4)} of the median${r.host ? ", " + short(r.host, 40) : ""}`),
            };
          });
          const ys = values(sets);
          const least = Math.min(...ys), most2 = Math.max(...ys), space = Math.max(0.02, (most2 - least) * 0.08);
          const bottom = least - (failed.length ? 2 : 1) * space;
          if (failed.length) sets.push({
            label: "failed", showLine: false, data: failed.map(r => ({x: r.sequence, y: bottom + space / 2})), pointStyle: "crossRot", pointRadius: 6, borderColor: css("bad"),
            pointBorderWidth: 2, titles: failed.map(r => `run ${r.sequence}: ${pointName(r.point)}, failed`), words: failed.map(r => short(r.error.split("\n")[0], 70)),
          });
          return {type: "line", data: {datasets: sets}, options: options(axis({type: "linear", grace: 1, ticks: {precision: 0}}, "run"),
                  axis({type: "linear", min: bottom, max: most2 + space, ticks: {includeBounds: false, callback: v => Number(v.toFixed(4)).toString()}}, "time / median"))};
        },
        rows: () => table("All runs", [{head: "run"}, {head: "point", text: true}, {head: "kind", text: true}, {head: "started", text: true}, {head: "host", text: true}, {head: "time s"},
                                       {head: "launch to exit s"}, {head: "CPU s"}],
                          runs.map(r => [r.sequence, pointName(r.point), r.error ? "failed" : r.warmup ? "warm-up" : r.attempt > 1 ? `attempt ${r.attempt}` : "", day(r.started_at), r.host || none,
                                         r.error ? none : figure(r.time_s), figure(r.launch_to_exit_s), figure(r.cpu_s)])),
      });
    }
    if (failed.length) {
      const bad = section("failures", "Failed runs");
      bad.append(make("div", {class: "panel"}, table(plural(failed.length, "run") + " failed; none of these is in a figure above",
        [{head: "run"}, {head: "point", text: true}, {head: "attempt"}, {head: "host", text: true}, {head: "started", text: true}, {head: "error", text: true, long: true}],
        failed.map(r => [r.sequence, pointName(r.point), r.attempt, r.host || none, day(r.started_at), r.error]))));
    }
  }

  // ---- for a proposal ----

  {
    const box = section("proposal", "For a paper or proposal");
    for (const [name, text] of [["Markdown", data.markdown], ["LaTeX", data.latex]]) {
      if (text) box.append(make("h3", {}, name), code(text, "the table as " + name, false));
    }
    if (!data.markdown && !data.latex) box.append(make("p", {class: "absent"}, "This page was made without a table to paste."));
  }

  // ---- environment ----

  {
    const box = section("environment", "Environment");
    const withContext = rows.map(r => data.records[r.point]).map((record, i) => ({record, row: rows[i]})).filter(e => e.record?.context);
    if (!withContext.length) box.append(make("p", {class: "absent"}, "No record says on what the study ran: the program measured keeps none."));
    else {
      const names = {version: "Echelon", commit: "commit", dirty: "changed since the commit", build_type: "build", compiler: "compiler", mpi: "MPI", isa: "instruction set", cpu_model: "CPU",
                     hosts: "hosts", launcher: "launcher", cpus_allowed: "CPUs allowed", oversubscribed: "oversubscribed", slurm: "SLURM"};
      const word = v => v === null ? "not under SLURM" : typeof v === "boolean" ? (v ? "yes" : "no")
        : Array.isArray(v) ? (v.length > 16 ? `${v.length} hosts: ${v.slice(0, 15).join(", ")}, …, ${v[v.length - 1]}` : v.join(", "))
        : typeof v === "object" ? Object.entries(v).map(([k, x]) => `${k}=${x}`).join(" ") : String(v);
      const keys = [...new Set(withContext.flatMap(e => Object.keys(e.record.context)))].filter(k => k !== "ranks" && k !== "threads");
      const lines = keys.map(key => {
        const by = new Map();
        for (const {record, row} of withContext) {
          const text = word(record.context[key] ?? null);
          by.set(text, [...(by.get(text) ?? []), row.label]);
        }
        return [names[key] ?? key, by.size === 1 ? [...by.keys()][0] : [...by].map(([text, labels]) => `${text} (${labels.join(", ")})`).join("; ")];
      });
      const first = withContext[0].record;
      for (const [name, value] of Object.entries(first.parameters ?? {})) lines.push([name, word(value)]);
      box.append(make("div", {class: "panel"}, table("As the runs nearest to each point's median recorded it", [{head: "what", text: true}, {head: "value", text: true, long: true}], lines)));
    }
  }

  // ---- the data ----

  {
    const box = section("data-section", "The data");
    const save = make("button", {type: "button", id: "download"}, `Download the data (${figure(source.length / 1024, 3)} KiB of JSON)`);
    save.addEventListener("click", () => {
      const address = URL.createObjectURL(new Blob([source], {type: "application/json"}));
      const link = make("a", {href: address, download: "study.json"});
      document.body.append(link);
      link.click();
      link.remove();
      setTimeout(() => URL.revokeObjectURL(address), 10000);
    });
    box.append(make("p", {class: "note"}, "All that this page shows, with all digits: every run, and of each point all ranks of the run nearest to its median."), make("div", {class: "toolbar"}, save));
    box.classList.add("together");
  }
  document.getElementById("footer").textContent =
    `Made by Echelon ${data.echelon.version} (${data.echelon.commit}). Charts: Chart.js ${Chart.version}, MIT license.`;

  const nav = make("nav", {"aria-label": "Sections"}, ...contents.map(([id, name]) => make("a", {href: "#" + id}, name)));
  document.getElementById("top").append(nav);

  // ---- light and dark, and paper ----

  const root = document.documentElement;
  const button = document.getElementById("theme");
  const preference = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  function paint(theme) {
    root.dataset.theme = theme;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Show this page in ${theme === "dark" ? "light" : "dark"} colours`);
    draw();
  }
  const current = () => chosen ?? (preference.matches ? "dark" : "light");
  button.addEventListener("click", () => {
    chosen = current() === "dark" ? "light" : "dark";
    paint(chosen);
  });
  preference.addEventListener("change", () => paint(current()));
  // A page on paper is light, and as wide as A4: no script runs once it is laid out.
  addEventListener("beforeprint", () => {
    isPrinting = true;
    paint("light");
    for (const c of charts) {
      const height = Math.min(c.height, c.wide ? 245 : c.small ? 280 : 180);
      c.canvas.parentElement.style.height = height + "px";
      c.drawn.resize(c.wide ? 660 : c.small ? 205 : 315, height);
    }
  });
  addEventListener("afterprint", () => {
    isPrinting = false;
    for (const c of charts) c.canvas.parentElement.style.height = c.height + "px";
    paint(current());
  });
  paint(current());
  root.dataset.ready = "yes";
})();
