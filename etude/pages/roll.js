// A piano roll on canvas: draws what is in view, says where a time is and which note is under the pointer.
// Times are milliseconds, lengths on screen are CSS pixels.
(() => {
  const etude = (window.etudePages ||= {});
  if (etude.Roll) return;
  const GUTTER = 30, TOP = 17, AXIS = 20, PEDAL = 16, END = 6, MAX_ZOOM = 64;
  const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
  const BLACK = [1, 3, 6, 8, 10];

  function bytes(text) {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  }

  // columns lie one after the other: two of uint32, then the bytes
  function unpack(text, count, wide, narrow) {
    const buffer = bytes(text).buffer;
    const columns = [];
    for (let i = 0; i < wide; i++) columns.push(new Uint32Array(buffer, 4 * i * count, count));
    for (let i = 0; i < narrow; i++) columns.push(new Uint8Array(buffer, 4 * wide * count + i * count, count));
    return columns;
  }

  function clock(ms, digits = 0) {
    const seconds = Math.max(0, ms / 1000);
    const rest = (seconds % 60).toFixed(digits);
    return Math.floor(seconds / 60) + ":" + rest.padStart(digits ? 3 + digits : 2, "0");
  }

  function niceStep(least) {
    for (const step of [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600]) if (step >= least) return step;
    return 1800;
  }

  class Roll {
    constructor(figure) {
      const data = JSON.parse(figure.dataset.roll);
      Object.assign(this, { figure, data, end: Math.max(1, data.end), zoom: 1, now: 0 });
      [this.onset, this.duration, this.pitch, this.velocity, this.track] = unpack(data.notes, data.count, 2, 3);
      [this.pedalTime, this.pedalValue] = unpack(data.pedal, data.pedals, 1, 1);
      this.view = figure.querySelector(".etude-view");
      this.space = document.createElement("div");
      this.stick = this.space.appendChild(document.createElement("div"));
      this.stick.className = "etude-stick";
      this.stick.style.height = data.height + "px";
      this.under = this.stick.appendChild(document.createElement("canvas"));
      this.over = this.stick.appendChild(document.createElement("canvas"));
      this.view.replaceChildren(this.space);
      this.view.addEventListener("scroll", () => this.draw());
      new ResizeObserver(() => this.resize()).observe(this.view);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.resize());
      this.resize();
    }

    resize() {
      this.width = this.view.clientWidth;
      this.space.style.width = GUTTER + END + (this.width - GUTTER - END) * this.zoom + "px";
      this.stick.style.width = this.width + "px";
      for (const canvas of [this.under, this.over]) {
        canvas.width = Math.round(this.width * devicePixelRatio);
        canvas.height = Math.round(this.data.height * devicePixelRatio);
      }
      const probe = this.figure.appendChild(document.createElement("i"));
      this.color = (name) => ((probe.style.color = `var(--${name})`), getComputedStyle(probe).color);
      this.ink = Object.fromEntries(["sheet", "key", "ink", "soft", "line", "grid", "accent"].map((n) => [n, this.color(n)]));
      this.hues = [...Array(8).keys()].map((i) => this.color("t" + i));
      probe.remove();
      this.draw();
    }

    setZoom(zoom) {
      const middle = this.time(this.width / 2);
      this.zoom = Math.min(MAX_ZOOM, Math.max(1, zoom));
      this.resize();
      this.view.scrollLeft += this.x(middle) - this.width / 2;
      this.draw();
    }

    get scale() {
      return ((this.width - GUTTER - END) * this.zoom) / this.end;
    }
    get bottom() {
      return this.data.height - AXIS - (this.data.pedals ? PEDAL : 0);
    }
    get row() {
      return (this.bottom - TOP) / (this.data.high - this.data.low + 1);
    }
    x(ms) {
      return GUTTER + ms * this.scale - this.view.scrollLeft;
    }
    y(pitch) {
      return TOP + (this.data.high - pitch) * this.row;
    }
    time(x) {
      return Math.min(this.end, Math.max(0, (x - GUTTER + this.view.scrollLeft) / this.scale));
    }

    draw() {
      const c = this.under.getContext("2d");
      c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      c.font = "10px system-ui, sans-serif";
      c.fillStyle = this.ink.sheet;
      c.fillRect(0, 0, this.width, this.data.height);
      this.drawRows(c);
      this.drawTime(c);
      for (let i = 0; i < this.onset.length; i++) this.drawNote(c, i, this.hues[this.track[i] % 8]);
      c.globalAlpha = 1;
      if (this.data.pedals) this.drawPedal(c);
      this.drawGutter(c);
      this.drawPlayhead(this.now);
    }

    drawRows(c) {
      for (let pitch = this.data.low; pitch <= this.data.high; pitch++) {
        c.fillStyle = this.ink.key;
        if (BLACK.includes(pitch % 12)) c.fillRect(GUTTER, this.y(pitch), this.width, this.row);
        c.fillStyle = this.ink.line;
        if (pitch % 12 === 0) c.fillRect(GUTTER, this.y(pitch) + this.row - 0.5, this.width, 1);
      }
    }

    drawTime(c) {
      let last = -99;
      this.data.bars.forEach((ms, i) => {
        const x = this.x(ms);
        if (x < GUTTER - 1 || x > this.width) return;
        const labelled = x - last >= 26;
        c.fillStyle = labelled ? this.ink.line : this.ink.grid;
        c.fillRect(x, labelled ? 3 : TOP, 1, this.bottom - (labelled ? 3 : TOP));
        if (!labelled) return;
        last = x;
        if (x > this.width - 22) return;
        c.fillStyle = this.ink.soft;
        c.fillText(i + 1, x + 4, 11);
      });
      const step = niceStep(52 / (this.scale * 1000)) * 1000;
      for (let ms = Math.floor(this.time(GUTTER) / step) * step; ms <= this.end; ms += step) {
        const x = this.x(ms);
        if (x > this.width - 26) break;
        c.fillStyle = this.ink.line;
        c.fillRect(x, this.bottom, 1, 4 + (this.data.pedals ? PEDAL : 0));
        if (!this.data.bars.length) c.fillRect(x, TOP, 1, this.bottom - TOP);
        c.fillStyle = this.ink.soft;
        c.fillText(clock(ms, step < 1000 ? 1 : 0), x + 3, this.data.height - 6);
      }
      c.fillStyle = this.ink.line;
      c.fillRect(GUTTER, this.bottom, this.width, 1);
    }

    drawNote(c, i, color, alpha) {
      const x = this.x(this.onset[i]);
      const width = Math.max(2, this.duration[i] * this.scale - 0.6);
      if (x > this.width || x + width < GUTTER) return;
      const height = Math.max(1.6, this.row - 0.6);
      c.globalAlpha = alpha ?? 0.42 + 0.58 * (this.velocity[i] / 127);
      c.fillStyle = color;
      c.beginPath();
      c.roundRect(x, this.y(this.pitch[i]) + (this.row - height) / 2, width, height, Math.min(2, width / 3, height / 3));
      c.fill();
    }

    drawPedal(c) {
      const base = this.bottom + PEDAL - 1;
      c.fillStyle = this.ink.soft;
      c.globalAlpha = 0.45;
      for (let i = 0; i < this.pedalTime.length; i++) {
        const until = i + 1 < this.pedalTime.length ? this.pedalTime[i + 1] : this.end;
        const height = ((PEDAL - 5) * this.pedalValue[i]) / 127;
        if (height) c.fillRect(this.x(this.pedalTime[i]), base - height, (until - this.pedalTime[i]) * this.scale, height);
      }
      c.globalAlpha = 1;
    }

    drawGutter(c) {
      c.fillStyle = this.ink.sheet;
      c.fillRect(0, 0, GUTTER, this.data.height);
      c.fillStyle = this.ink.line;
      c.fillRect(GUTTER - 1, TOP, 1, this.bottom - TOP);
      c.fillStyle = this.ink.soft;
      c.textAlign = "right";
      const every = this.row * 12 < 13 ? 24 : 12;
      for (let pitch = Math.ceil(this.data.low / every) * every; pitch <= this.data.high; pitch += every) {
        c.fillText("C" + (pitch / 12 - 1), GUTTER - 5, this.y(pitch) + this.row / 2 + 3.5);
      }
      if (this.data.pedals) c.fillText("ped.", GUTTER - 5, this.bottom + PEDAL - 4);
      c.textAlign = "left";
    }

    drawPlayhead(ms) {
      this.now = ms;
      const c = this.over.getContext("2d");
      c.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
      c.clearRect(0, 0, this.width, this.data.height);
      if (!ms) return;
      for (let i = 0; i < this.onset.length && this.onset[i] <= ms; i++) {
        if (ms < this.onset[i] + Math.max(90, this.duration[i])) this.drawNote(c, i, this.ink.ink, 0.85);
      }
      c.globalAlpha = 1;
      c.fillStyle = this.ink.accent;
      const x = this.x(Math.min(ms, this.end));
      if (x >= GUTTER - 1) c.fillRect(x - 0.75, 4, 1.5, this.data.height - AXIS - 4);
    }

    // keep the playhead in view while it moves
    follow(ms) {
      const x = this.x(ms);
      if (this.zoom > 1 && (x > this.width * 0.85 || x < GUTTER)) this.view.scrollLeft += x - this.width * 0.2;
    }

    at(x, y) {
      const ms = this.time(x);
      const pitch = this.data.high - Math.floor((y - TOP) / this.row);
      const slack = 2 / this.scale;
      for (let i = this.onset.length - 1; i >= 0; i--) {
        const near = this.onset[i] - slack <= ms && ms <= this.onset[i] + this.duration[i] + slack;
        if (near && this.pitch[i] === pitch) return this.say(i);
      }
      return "";
    }

    say(i) {
      const name = NAMES[this.pitch[i] % 12] + (Math.floor(this.pitch[i] / 12) - 1);
      const parts = [name, `velocity ${this.velocity[i]}`, `from ${clock(this.onset[i], 2)}`, `${(this.duration[i] / 1000).toFixed(2)} s long`];
      if (this.data.tracks.length > 1) parts.push(this.data.tracks[this.track[i]].name);
      return parts.join(" · ");
    }
  }
  Object.assign(etude, { Roll, clock });
})();
