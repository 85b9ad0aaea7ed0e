// Values under the pointer, or under the arrow keys, in line charts.
(() => {
  function make(parent, name, style) {
    const element = parent.appendChild(document.createElement("div"));
    element.className = name;
    Object.assign(element.style, style);
    return element;
  }

  function start(area) {
    const { series, label, digits } = JSON.parse(area.dataset.plot);
    const places = [...new Set(series.flatMap((one) => one.left))].sort((a, b) => a - b);
    let at = places.length - 1, marks = [];
    const clear = () => (marks.forEach((mark) => mark.remove()), (marks = []));

    function show(left) {
      clear();
      const rows = [];
      let x = null;
      for (const one of series) {
        const i = one.left.reduce((best, value, k) => (Math.abs(value - left) < Math.abs(one.left[best] - left) ? k : best), 0);
        if (Math.abs(one.left[i] - left) > 4) continue;
        if (x === null || Math.abs(one.left[i] - left) < Math.abs(x[0] - left)) x = [one.left[i], one.x[i]];
        rows.push([one, i]);
      }
      if (x === null) return;
      marks.push(make(area, "etude-guide", { left: x[0] + "%" }));
      for (const [one, i] of rows) {
        const dot = make(area, "etude-dot", { left: one.left[i] + "%", top: one.top[i] + "%" });
        dot.style.setProperty("--c", `var(--${one.color})`);
        marks.push(dot);
      }
      const tip = make(area, "etude-tip", x[0] > 55 ? { right: 100 - x[0] + 2 + "%" } : { left: x[0] + 2 + "%" });
      tip.setAttribute("role", "status");
      [`${label} ${x[1].toLocaleString("en")}`, ...rows.map(([one, i]) => `${one.name}: ${one.y[i].toFixed(digits)}`)].forEach((line) =>
        (tip.appendChild(document.createElement("div")).textContent = line));
      marks.push(tip);
    }

    area.addEventListener("pointermove", (event) => {
      const box = area.getBoundingClientRect();
      show((100 * (event.clientX - box.left)) / box.width);
    });
    area.addEventListener("pointerleave", clear);
    area.addEventListener("blur", clear);
    area.addEventListener("focus", () => area.matches(":focus-visible") && show(places[at]));
    area.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      at = Math.min(places.length - 1, Math.max(0, at + by));
      show(places[at]);
    });
  }

  for (const area of document.querySelectorAll("[data-plot]:not([data-ready])")) {
    area.dataset.ready = "";
    start(area);
  }
})();
