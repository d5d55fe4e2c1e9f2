// The microphone becomes a WAV file. (Browsers' own recorders write webm or mp4, which not every server reads.)

import { byId } from "./dom.js";
import { LivePreview } from "./live.js";
import { clearError, say, showError } from "./messages.js";
import { clock } from "./times.js";
import { wavOf } from "./wav.js";

const RATE = 16000;
const SOUND = { channelCount: 1, echoCancellation: false, noiseSuppression: false };  // of speech as it is
const REASONS = {
  NotAllowedError: "The browser may not use the microphone; allow it in the settings of this page.",
  NotFoundError: "No microphone was found; connect one, then try again.",
  NotReadableError: "Another program uses the microphone; close it, then try again.",
};

/** Let the buttons of the page record, and hand a recording over when it is stopped. */
export function bindRecorder(onFiles) {
  const button = byId("record");
  let recorder = null, preview = null;
  const show = (active) => {
    button.textContent = active ? "Stop" : "Record";
    button.classList.toggle("main", active);
    byId("recording").hidden = byId("live").hidden = !active;
    byId("live").textContent = "";
  };
  const hear = (piece, seconds, peak) => {
    byId("elapsed").textContent = clock(seconds);
    byId("level").value = peak;
    preview?.send(piece);
  };
  const end = async (keep) => {
    const ending = recorder;
    recorder = null;
    preview.close();
    show(false);
    const sound = await ending.stop();
    button.focus();
    if (keep) onFiles([Object.assign(new File([sound], nameOfNow(), { type: "audio/wav" }), { recordedHere: true })]);
    else say("The recording is discarded.");
  };
  button.addEventListener("click", async () => {
    if (recorder) return end(true);
    clearError();
    button.disabled = true;
    try {
      recorder = await Recorder.start(hear);
      preview = new LivePreview(RATE, showLive);
      show(true);
      say("Recording.");
    } catch (error) {
      showError(REASONS[error.name] ?? error.message);
    }
    button.disabled = false;
  });
  byId("discard").addEventListener("click", () => end(false));
  window.addEventListener("beforeunload", (event) => { if (recorder) event.preventDefault(); });
}

function showLive(text) {
  const place = byId("live");
  place.textContent = text;
  place.scrollTop = place.scrollHeight;
}

function nameOfNow() {
  const two = (number) => String(number).padStart(2, "0");
  const now = new Date();
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-");
  return `recording ${day} ${two(now.getHours())}.${two(now.getMinutes())}.${two(now.getSeconds())}.wav`;
}

class Recorder {
  /** @param {function(Int16Array, number, number)} onPiece gets each piece, the seconds so far, and its peak, 0 to 1 */
  static async start(onPiece) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers record only on pages with https, or at the address localhost.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({ audio: SOUND });
    const recorder = new Recorder();
    Object.assign(recorder, { stream, pieces: [], context: new AudioContext() });
    try {
      await recorder.context.audioWorklet.addModule("/static/capture.js");
    } catch (error) {
      recorder.release();
      throw error;
    }
    recorder.node = new AudioWorkletNode(recorder.context, "capture", { processorOptions: { rate: RATE } });
    recorder.ended = new Promise((resolve) => {
      let count = 0;
      recorder.node.port.onmessage = ({ data }) => {
        if (data === null) return resolve();
        recorder.pieces.push(data.samples);
        onPiece(data.samples, (count += data.samples.length) / RATE, data.peak);
      };
    });
    onPiece(new Int16Array(), 0, 0);
    recorder.context.createMediaStreamSource(stream).connect(recorder.node);
    recorder.node.connect(recorder.context.destination);  // of silence: some browsers drive no other nodes
    await recorder.context.resume();
    return recorder;
  }

  /** End, and return the recording as a WAV file. */
  async stop() {
    this.node.port.postMessage("end");
    await this.ended;
    this.release();
    return wavOf(this.pieces, RATE);
  }

  release() {
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
  }
}
