// The sound of a recording: its waveform, which is also the slider, and the controls.

import { element } from "./dom.js";
import { clock } from "./times.js";
import { Waveform } from "./waveform.js";

const STEP_S = 5;
const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2];

export class Player {
  /**
   * @param {File} file
   * @param {TranscriptView} text whose words are marked while they are played
   *
   * `ready` resolves to whether the browser can play the file.
   */
  constructor(file, text) {
    this.text = text;
    this.duration = 0;
    this.address = URL.createObjectURL(file);
    this.audio = element("audio", { preload: "metadata" });
    this.wave = new Waveform();
    this.slider = element("div", {
      className: "wave", role: "slider", tabIndex: 0, "aria-label": "Place in the recording", "aria-valuemin": 0,
    }, this.wave.canvas);
    this.button = element("button", { type: "button", className: "main" }, "Play");
    this.time = element("span", { className: "time" });
    this.speed = speedOf(this.audio);
    this.controls = element("div", { className: "row controls" }, this.button, this.time, this.speed);
    this.element = element("div", { className: "player" }, this.audio, this.slider, this.controls);
    this.ready = this.open(file);
    this.bind();
  }

  /** Show another control beside the others, in place of the one that was offered before; none for null. */
  offer(control) {
    this.offered?.remove();
    this.offered = control;
    if (control) this.controls.append(control);
  }

  /** Find out whether the file can be played, and draw it; return whether it can. */
  async open(file) {
    const known = new Promise((resolve) => {
      this.audio.addEventListener("loadedmetadata", () => resolve(true), { once: true });
      this.audio.addEventListener("error", () => resolve(false), { once: true });
    });
    this.audio.src = this.address;
    const playable = await known;
    if (!playable) {
      this.slider.remove();
      for (const one of [this.button, this.time, this.speed]) one.remove();
      return false;
    }
    this.setDuration(this.audio.duration);
    this.wave.load(file, this.audio.duration).then(() => this.draw());
    return true;
  }

  bind() {
    const { audio, slider } = this;
    this.button.addEventListener("click", () => this.toggle());
    audio.addEventListener("play", () => { this.button.textContent = "Pause"; this.follow(); });
    audio.addEventListener("pause", () => { this.button.textContent = "Play"; });
    audio.addEventListener("seeked", () => this.update());
    slider.addEventListener("pointerdown", (event) => {
      this.seek(event);
      slider.setPointerCapture(event.pointerId);
    });
    slider.addEventListener("pointermove", (event) => { if (event.buttons) this.seek(event); });
    slider.addEventListener("keydown", (event) => this.press(event));
    this.sizes = new ResizeObserver(() => this.draw());
    this.sizes.observe(slider);
    this.colours = matchMedia("(prefers-color-scheme: dark)");
    this.redraw = () => this.draw();
    this.colours.addEventListener("change", this.redraw);
  }

  /** Note the length of the recording in seconds; browsers do not know that of every file. */
  setDuration(seconds) {
    if (!Number.isFinite(seconds) || seconds === this.duration) return;
    this.duration = seconds;
    this.slider.setAttribute("aria-valuemax", Math.round(seconds));
    this.update();
  }

  toggle() {
    if (this.audio.paused) this.play();
    else this.audio.pause();
  }

  playFrom(seconds) {
    if (this.audio.error) return;
    this.audio.currentTime = seconds;
    this.play();
  }

  play() {
    this.audio.play().catch(() => {});  // who pauses at once ends it; the button shows what is the case
  }

  press(event) {
    const { audio } = this, moves = {
      ArrowRight: () => { audio.currentTime += STEP_S; },
      ArrowUp: () => { audio.currentTime += STEP_S; },
      ArrowLeft: () => { audio.currentTime -= STEP_S; },
      ArrowDown: () => { audio.currentTime -= STEP_S; },
      Home: () => { audio.currentTime = 0; },
      End: () => { audio.currentTime = this.duration; },
      " ": () => this.toggle(),
      Enter: () => this.toggle(),
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  }

  seek(event) {
    const { left, width } = this.slider.getBoundingClientRect();
    const share = Math.max(0, Math.min(1, (event.clientX - left) / width));
    if (this.duration) this.audio.currentTime = share * this.duration;
  }

  /** Move with the sound for as long as it plays. */
  follow() {
    this.update();
    if (!this.audio.paused) requestAnimationFrame(() => this.follow());
  }

  update() {
    const now = this.audio.currentTime, shown = `${clock(now)} / ${clock(this.duration)}`;
    if (now || this.text.current) this.text.mark(now, !this.audio.paused);
    if (this.time.textContent !== shown) {
      this.time.textContent = shown;
      this.slider.setAttribute("aria-valuenow", Math.round(now));
      this.slider.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.duration)}`);
    }
    this.draw();
  }

  draw() {
    this.wave.draw(this.text.words, this.audio.currentTime, this.duration);
  }

  close() {
    this.audio.pause();
    this.sizes.disconnect();
    this.colours.removeEventListener("change", this.redraw);
    URL.revokeObjectURL(this.address);
  }
}

/** Return what chooses the speed of a sound. */
function speedOf(audio) {
  const select = element("select", { "aria-label": "Speed" },
    ...SPEEDS.map((speed) => element("option", { value: speed, selected: speed === 1 }, `${speed} ×`)));
  select.addEventListener("change", () => { audio.playbackRate = Number(select.value); });
  return select;
}
