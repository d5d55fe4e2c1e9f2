// An AudioWorklet: the sound of a microphone becomes pieces of 16-bit samples, with their level.

import { Resampler } from "./resampler.js";

const PIECE = 1600;  // samples that are sent at a time

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions: { rate } }) {
    super();
    this.resampler = new Resampler(sampleRate, rate);  // sampleRate: of the worklet's scope
    this.piece = new Int16Array(PIECE);
    this.filled = this.peak = 0;
    this.port.onmessage = () => { this.send(); this.port.postMessage(null); this.ended = true; };
  }

  process([channels]) {
    if (channels.length) this.take(mixed(channels));
    return !this.ended;
  }

  take(samples) {
    for (const sample of this.resampler.feed(samples)) {
      const limited = Math.max(-1, Math.min(1, sample));
      this.peak = Math.max(this.peak, Math.abs(limited));
      this.piece[this.filled++] = Math.round(32767 * limited);
      if (this.filled === PIECE) this.send();
    }
  }

  send() {
    const samples = this.piece.slice(0, this.filled);
    this.port.postMessage({ samples, peak: this.peak }, [samples.buffer]);
    this.filled = this.peak = 0;
  }
}

/** Return the mean of channels. */
function mixed(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map((_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length);
}

registerProcessor("capture", Capture);
