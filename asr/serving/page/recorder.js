// The sound of the microphone as WAV files. (Browsers' own recorders write webm or mp4, which not every server reads.)

import { pause } from "./request.js";
import { wavOf } from "./wav.js";

export const RATE = 16000;
const SOUND = { channelCount: 1, echoCancellation: false, noiseSuppression: false };  // of speech as it is
const ENDING_S = 1;  // an interrupted worklet, as in a phone call, does not answer

export class Recorder {
  /** @param {function(Int16Array, number)} onPiece gets each piece as it comes, and its peak, 0 to 1 */
  static async start(onPiece) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers record only on pages with https, or at the address localhost.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: SOUND });
    const recorder = new Recorder(stream);
    try {
      await recorder.listen(onPiece);
    } catch (error) {
      recorder.release();
      throw error;
    }
    return recorder;
  }

  constructor(stream) {
    this.stream = stream;
    this.context = new AudioContext();
    this.begin();
  }

  begin() {
    this.pieces = [];
    this.began = new Date();
    this.bytes = 0;
  }

  async listen(onPiece) {
    const { context } = this;
    await context.audioWorklet.addModule("/static/capture.js");
    this.node = new AudioWorkletNode(context, "capture", { processorOptions: { rate: RATE } });
    this.ended = new Promise((resolve) => {
      this.node.port.onmessage = ({ data }) => {
        if (data === null) return resolve();
        this.pieces.push(data.samples);
        this.bytes += data.samples.byteLength;
        onPiece(data.samples, data.peak);
      };
    });
    context.createMediaStreamSource(this.stream).connect(this.node);
    this.node.connect(context.destination);  // of silence: some browsers drive no other nodes
    await context.resume();
  }

  /** Return what was recorded since the last call as a file, which is named after the time at which it begins. */
  take() {
    const file = new File([wavOf(this.pieces, RATE)], nameOf(this.began), { type: "audio/wav" });
    this.begin();
    return Object.assign(file, { recordedHere: true });
  }

  /** Stop recording; what came until now can be taken. */
  async stop() {
    this.node.port.postMessage("end");
    await Promise.race([this.ended, pause(ENDING_S)]);
    this.release();
  }

  release() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}

function nameOf(time) {
  const two = (number) => String(number).padStart(2, "0");
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join("-");
  return `recording ${day} ${two(time.getHours())}.${two(time.getMinutes())}.${two(time.getSeconds())}.wav`;
}
