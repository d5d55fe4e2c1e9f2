// The waveform of a recording: bars as high as the sound is loud, in the colours of the confidence of its words.
//
// A browser decodes a file at once, at the rate it has: an hour in stereo takes over a gigabyte for a moment.
// Longer recordings are not decoded; their bars show where words are.

import { levelOf } from "./confidence.js";

const RATE = 8000;                       // to which the sound is decoded, in Hz
const LONGEST_S = { fine: 5400, coarse: 1200 };  // that is decoded, by the pointer: phones have less memory
const BUCKETS = 2000;
const BUCKETS_AT_ONCE = 100;
const BAR_PX = 3;
const GAP_PX = 1;
const LEAST = 0.04;                      // height of silence
const WITHOUT_SOUND = 0.5;               // height where words are, if the sound is not known

export class Waveform {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.levels = null;
  }

  /** Decode a file and find how loud it is; nothing happens if it is too long, or cannot be decoded. */
  async load(file, duration) {
    const pointer = matchMedia("(pointer: coarse)").matches ? "coarse" : "fine";
    if (!(duration <= LONGEST_S[pointer])) return;
    try {
      const context = new OfflineAudioContext(1, 1, RATE);
      this.levels = await loudness(await context.decodeAudioData(await file.arrayBuffer()));
    } catch (error) {
      if (!(error instanceof DOMException)) throw error;  // of decoding and reading
    }
  }

  /**
   * Draw.
   * @param {object[]} words with start and end in seconds and a confidence, in order
   * @param {number} now what has been played, in seconds
   * @param {number} duration in seconds
   */
  draw(words, now, duration) {
    const { canvas } = this, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !duration) return;
    const fine = devicePixelRatio || 1, context = canvas.getContext("2d");
    if (canvas.width !== Math.round(width * fine)) canvas.width = Math.round(width * fine);
    if (canvas.height !== Math.round(height * fine)) canvas.height = Math.round(height * fine);
    context.setTransform(fine, 0, 0, fine, 0, 0);
    context.clearRect(0, 0, width, height);
    const colours = coloursOf(canvas), bars = Math.floor(width / (BAR_PX + GAP_PX));
    const classes = classesOf(words, bars, duration), heights = this.heightsOf(classes);
    for (let bar = 0; bar < bars; bar++) {
      const size = Math.max(LEAST, heights[bar]) * (height - 6);
      context.fillStyle = colours[classes[bar] ?? "none"];
      context.globalAlpha = bar / bars < now / duration ? 1 : 0.6;
      context.fillRect(bar * (BAR_PX + GAP_PX), (height - size) / 2, BAR_PX, size);
    }
    context.globalAlpha = 1;
    context.fillStyle = colours.place;
    context.fillRect(Math.min(width - 2, now / duration * width), 0, 2, height);
  }

  /** Return the height of each bar, the highest 1. */
  heightsOf(classes) {
    const { levels } = this, bars = classes.length;
    if (!levels) return classes.map((one) => (one === undefined ? 0 : WITHOUT_SOUND));
    const heights = classes.map((_, bar) => {
      const from = Math.floor(bar / bars * BUCKETS), to = Math.max(from + 1, Math.floor((bar + 1) / bars * BUCKETS));
      return levels.subarray(from, to).reduce((sum, level) => sum + level, 0) / (to - from);
    });
    const highest = Math.max(...heights);
    return highest ? heights.map((one) => one / highest) : heights;
  }
}

/** Return the class of the mean confidence of the words in each bar; undefined for a bar without words. */
function classesOf(words, bars, duration) {
  const sums = new Float64Array(bars), counts = new Uint16Array(bars);
  for (const { start, end, confidence } of words) {
    const first = Math.floor(start / duration * bars), last = Math.min(bars - 1, Math.floor(end / duration * bars));
    for (let bar = first; bar <= last; bar++) {
      sums[bar] += confidence;
      counts[bar] += 1;
    }
  }
  return Array.from(sums, (sum, bar) => (counts[bar] ? levelOf(sum / counts[bar]) : undefined));
}

function coloursOf(canvas) {
  const style = getComputedStyle(canvas), colour = (name) => style.getPropertyValue(`--${name}`);
  return {
    "": colour("ink"), none: colour("soft"), unsure: colour("unsure"), doubtful: colour("doubtful"),
    place: colour("accent"),
  };
}

/** Return the root mean square of a sound in `BUCKETS` parts; the page goes on in between. */
async function loudness(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, i) => sound.getChannelData(i));
  const levels = new Float32Array(BUCKETS), step = sound.length / BUCKETS;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    if (bucket % BUCKETS_AT_ONCE === 0) await new Promise((resolve) => { setTimeout(resolve); });
    const from = Math.floor(bucket * step), to = Math.max(from + 1, Math.floor((bucket + 1) * step));
    let sum = 0;
    for (const samples of channels) for (let i = from; i < to; i++) sum += samples[i] ** 2;
    levels[bucket] = Math.sqrt(sum / (to - from));
  }
  return levels;
}
