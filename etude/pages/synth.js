// A small synthesiser for pages without recorded sound: mixes notes from wave tables into a WAV.
(() => {
  const etude = (window.etudePages ||= {});
  if (etude.synthesise) return;
  const SIZE = 2048, TAIL_SEC = 1.2, RELEASE_SEC = 0.12, LONG_SEC = 600;
  const tables = new Map();

  // one table per octave, so that no harmonic lies above half the rate
  function table(octave, rolloff, rate) {
    const key = [octave, rolloff, rate].join();
    if (tables.has(key)) return tables.get(key);
    const highest = 8.18 * 2 ** (octave + 1);
    const count = Math.max(1, Math.min(24, Math.floor((0.45 * rate) / highest)));
    const wave = new Float32Array(SIZE + 1);
    for (let h = 1; h <= count; h++) {
      for (let i = 0; i <= SIZE; i++) wave[i] += Math.sin((2 * Math.PI * h * i) / SIZE) / h ** rolloff;
    }
    tables.set(key, wave);
    return wave;
  }

  // organs, bowed strings, voices, winds and pads hold their tone; the rest decays
  function holds(program) {
    return (program >= 16 && program < 24) || (program >= 40 && program < 46) || (program >= 48 && program < 104);
  }

  // with the pedal down a note rings until it comes up
  function releases(roll) {
    const ups = [];
    let down = null;
    roll.pedalTime.forEach((ms, i) => {
      if (roll.pedalValue[i] >= 64) down ??= ms;
      else if (down !== null) (ups.push([down, ms]), (down = null));
    });
    if (down !== null) ups.push([down, roll.end]);
    let first = 0;
    return (onset, offset) => {
      while (first < ups.length && ups[first][1] < onset) first++;
      for (let i = first; i < ups.length && ups[i][0] <= offset; i++) if (offset <= ups[i][1]) return ups[i][1];
      return offset;
    };
  }

  function mixNote(out, rate, start, length, pitch, loudness, program) {
    const held = holds(program);
    const octave = Math.floor(pitch / 12);
    const bright = table(octave, 1.15, rate), dark = table(octave, 2.2, rate);
    const step = (440 * 2 ** ((pitch - 69) / 12) * SIZE) / rate;
    const fade = held ? 1 : Math.exp(-1 / (rate * (0.16 + 1.5 * 2 ** ((48 - pitch) / 18))));
    const dull = held ? 1 : Math.exp(-1 / (rate * 0.22));
    const attack = rate * (held ? 0.04 : 0.004), release = rate * RELEASE_SEC;
    const until = Math.min(out.length, start + Math.floor(length + release));
    let phase = 0, level = loudness * (held ? 0.5 : 1), mix = held ? 0.35 : 0.25 + 0.6 * loudness;
    for (let n = start; n < until && level > 1e-4; n++) {
      const at = phase | 0, part = phase - at, age = n - start;
      const b = bright[at] + part * (bright[at + 1] - bright[at]);
      const d = dark[at] + part * (dark[at + 1] - dark[at]);
      const shape = Math.min(1, age / attack) * Math.max(0, Math.min(1, (length + release - age) / release));
      out[n] += shape * level * (d + mix * (b - d));
      level *= fade;
      mix *= dull;
      phase += step;
      if (phase >= SIZE) phase -= SIZE;
    }
  }

  function mixDrum(out, rate, start, pitch, loudness) {
    const kick = pitch < 37, fade = Math.exp(-1 / (rate * (kick ? 0.09 : pitch > 41 ? 0.05 : 0.07)));
    let seed = pitch * 7919 + 1, level = loudness * 0.8;
    for (let n = start; n < out.length && level > 1e-3; n++, level *= fade) {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      const age = (n - start) / rate;
      out[n] += level * (kick ? Math.sin(2 * Math.PI * (45 + 70 * Math.exp(-age * 30)) * age) : seed / 0x3fffffff - 1);
    }
  }

  function wav(samples, rate) {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, letters) => [...letters].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF"), view.setUint32(4, 36 + 2 * samples.length, true), text(8, "WAVEfmt ");
    [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, 2 * rate, 4], [32, 2, 2], [34, 16, 2]].forEach(([at, value, size]) =>
      size === 4 ? view.setUint32(at, value, true) : view.setUint16(at, value, true));
    text(36, "data"), view.setUint32(40, 2 * samples.length, true);
    samples.forEach((value, i) => view.setInt16(44 + 2 * i, Math.round(32767 * value), true));
    return new Blob([view.buffer], { type: "audio/wav" });
  }

  etude.synthesise = (roll) => {
    const rate = roll.end > 1000 * LONG_SEC ? 11025 : 22050;
    const out = new Float32Array(Math.ceil(rate * (roll.end / 1000 + TAIL_SEC)));
    const ring = releases(roll);
    for (let i = 0; i < roll.onset.length; i++) {
      const { program, drum } = roll.data.tracks[roll.track[i]];
      const start = Math.floor((roll.onset[i] / 1000) * rate), loudness = (roll.velocity[i] / 127) ** 1.4;
      const length = ((ring(roll.onset[i], roll.onset[i] + roll.duration[i]) - roll.onset[i]) / 1000) * rate;
      if (drum) mixDrum(out, rate, start, roll.pitch[i], loudness);
      else mixNote(out, rate, start, length, roll.pitch[i], loudness, program);
    }
    const peak = out.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    return wav(out.map((value) => (0.85 * value) / peak), rate);
  };
})();
