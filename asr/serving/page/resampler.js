// Sound at another rate, piece by piece: each sample is a sum of those around it, weighted by a windowed sinc.

const ZEROS = 16;   // of the sinc on either side
const FINE = 256;   // places of the table between two zeros

/** Changes the rate of a sound that is still arriving; what is above the lower of both rates' halves is removed. */
export class Resampler {
  /** @param {number} from, @param {number} to rates in Hz */
  constructor(from, to) {
    this.step = from / to;
    this.cutoff = Math.min(1, 0.95 * to / from);  // a share of half the rate; the window needs room
    this.reach = Math.ceil(ZEROS / this.cutoff);  // samples on either side
    this.kept = new Float32Array(this.reach);     // silence before the start
    this.place = this.reach;                      // of the next sample, in `kept` and what follows
    this.table = Float32Array.from({ length: ZEROS * FINE + 2 }, (_, i) => weight(i / FINE));
  }

  /**
   * Return the samples that can be told now.
   * @param {Float32Array} samples that follow those before
   */
  feed(samples) {
    const sound = new Float32Array(this.kept.length + samples.length);
    sound.set(this.kept);
    sound.set(samples, this.kept.length);
    const found = [];
    for (; this.place + this.reach < sound.length; this.place += this.step) found.push(this.at(sound, this.place));
    const done = Math.max(0, Math.floor(this.place) - this.reach);
    this.kept = sound.slice(done);
    this.place -= done;
    return Float32Array.from(found);
  }

  at(sound, place) {
    let sum = 0;
    for (let i = Math.ceil(place - this.reach); i <= place + this.reach; i++) {
      const distance = Math.abs(i - place) * this.cutoff;
      if (distance < ZEROS) sum += (sound[i] ?? 0) * this.table[Math.round(distance * FINE)];
    }
    return sum * this.cutoff;
  }
}

/** Return the sinc at a distance in zeros, under a Hann window. */
function weight(distance) {
  if (distance === 0) return 1;
  if (distance >= ZEROS) return 0;
  const turn = Math.PI * distance;
  return Math.sin(turn) / turn * (0.5 + 0.5 * Math.cos(turn / ZEROS));
}
