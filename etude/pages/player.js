// Ties sound to a roll: play, seek by click, keys and slider; one plays at a time.
(() => {
  const etude = (window.etudePages ||= {});
  if (etude.start) return etude.start();
  const PLAY = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 1.6v12.8L14.5 8z"/></svg>';
  const PAUSE = '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M3 2h3.6v12H3zM9.4 2H13v12H9.4z"/></svg>';
  const STEP_SEC = 5;
  let current = null;

  function make(tag, values, into) {
    const element = Object.assign(document.createElement(tag), values);
    into?.append(element);
    return element;
  }

  class Player {
    constructor(figure) {
      this.figure = figure;
      this.roll = new etude.Roll(figure);
      this.audio = figure.querySelector("audio");
      this.audio.removeAttribute("controls");
      this.buildBar(figure.querySelector(".etude-bar"));
      this.said = make("p", { className: "etude-said", role: "status" }, figure);
      if (!this.audio.getAttribute("src")) this.said.textContent = "Sound is made in your browser.";
      this.caption = figure.querySelector(".etude-about");
      this.about = this.caption.textContent;
      for (const event of ["play", "pause", "ended"]) this.audio.addEventListener(event, () => this.show());
      for (const event of ["timeupdate", "seeked", "durationchange"]) this.audio.addEventListener(event, () => this.tell());
      this.audio.addEventListener("play", () => this.move());
      this.listen(this.roll.view);
      this.show();
      this.tell();
    }

    buildBar(bar) {
      const label = this.figure.getAttribute("aria-label");
      this.button = make("button", { type: "button", className: "etude-play", onclick: () => this.toggle() });
      this.slider = make("input", { type: "range", min: 0, max: 1000, step: "any", value: 0, ariaLabel: `Position in ${label}` });
      this.slider.addEventListener("input", () => this.seek((this.slider.value / 1000) * this.length));
      this.clock = make("output", { ariaLive: "off" });
      const zoom = (sign, name, factor) =>
        make("button", { type: "button", className: "etude-zoom", textContent: sign, ariaLabel: name, title: name,
          onclick: () => this.roll.setZoom(this.roll.zoom * factor) });
      bar.prepend(this.button, this.slider, this.clock);
      const tools = bar.querySelector(".etude-tools");
      tools.prepend(zoom("−", "Zoom out", 0.5), zoom("+", "Zoom in", 2));
      make("button", { type: "button", textContent: "WAV", title: "Save the sound", onclick: () => this.save() }, tools);
    }

    get length() {
      return Number.isFinite(this.audio.duration) ? this.audio.duration : this.roll.end / 1000;
    }

    // sound is decoded, or made, when it is first asked for
    prepare() {
      current = this;
      if (!this.audio.getAttribute("src")) this.audio.src = URL.createObjectURL(etude.synthesise(this.roll));
    }
    save() {
      this.prepare();
      make("a", { href: this.audio.src, download: `${this.figure.dataset.name}.wav` }).click();
    }
    toggle() {
      this.prepare();
      if (!this.audio.paused) return this.audio.pause();
      if (this.audio.ended) this.audio.currentTime = 0;
      document.querySelectorAll(".etude-player audio").forEach((other) => other !== this.audio && other.pause());
      this.audio.play().catch((error) => (this.said.textContent = `This browser cannot play it: ${error.message}`));
    }
    seek(seconds) {
      this.prepare();
      this.audio.currentTime = Math.min(this.length, Math.max(0, seconds));
      this.tell();
    }

    show() {
      const playing = !this.audio.paused && !this.audio.ended;
      this.button.innerHTML = playing ? PAUSE : PLAY;
      this.button.ariaLabel = `${playing ? "Pause" : "Play"} ${this.figure.getAttribute("aria-label")}`;
      this.figure.dataset.playing = playing;
    }
    tell() {
      const now = this.audio.currentTime;
      this.clock.textContent = `${etude.clock(1000 * now)} / ${etude.clock(1000 * this.length)}`;
      this.slider.value = (1000 * now) / this.length;
      this.slider.style.setProperty("--p", (100 * now) / this.length + "%");
      this.slider.setAttribute("aria-valuetext", this.clock.textContent);
      this.roll.drawPlayhead(1000 * now);
    }
    move() {
      if (this.audio.paused || !this.figure.isConnected) return;
      this.roll.follow(1000 * this.audio.currentTime);
      this.tell();
      requestAnimationFrame(() => this.move());
    }

    listen(view) {
      const place = (event) => {
        const box = view.getBoundingClientRect();
        return [event.clientX - box.left - view.clientLeft, event.clientY - box.top - view.clientTop];
      };
      const go = (event) => this.seek(this.roll.time(place(event)[0]) / 1000);
      view.addEventListener("click", go);
      view.addEventListener("pointermove", (event) => {
        if (event.buttons === 1 && event.pointerType === "mouse") go(event);
        this.caption.textContent = this.roll.at(...place(event)) || this.about;
      });
      view.addEventListener("pointerleave", () => (this.caption.textContent = this.about));
      view.addEventListener("keydown", (event) => {
        const now = this.audio.currentTime;
        const action = {
          ArrowLeft: () => this.seek(now - STEP_SEC), ArrowRight: () => this.seek(now + STEP_SEC),
          Home: () => this.seek(0), End: () => this.seek(this.length),
          "+": () => this.roll.setZoom(this.roll.zoom * 2), "-": () => this.roll.setZoom(this.roll.zoom / 2),
        }[event.key];
        if (action && !event.ctrlKey && !event.metaKey && !event.altKey) (event.preventDefault(), action());
      });
    }
  }

  // space plays the roll or slider that has the focus; on a page of our own also the one used last
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.defaultPrevented || event.target.closest("button, a, summary")) return;
    const figure = event.target.closest(".etude-player");
    const ours = document.body.classList.contains("etude-page");
    const player = figure ? figure.etudePlayer : ours ? current : null;
    if (player) (event.preventDefault(), player.toggle());
  });

  etude.start = () => {
    for (const figure of document.querySelectorAll(".etude-player:not([data-ready])")) {
      figure.dataset.ready = "";
      figure.etudePlayer = new Player(figure);
    }
  };
  etude.start();
})();
