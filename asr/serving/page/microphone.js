// The controls of the page that record.

import { byId } from "./dom.js";
import { LivePreview } from "./live.js";
import { clearError, say, showError } from "./messages.js";
import { RATE, Recorder } from "./recorder.js";
import { clock } from "./times.js";

const REASONS = {
  NotAllowedError: "The browser may not use the microphone; allow it in the settings of this page.",
  NotFoundError: "No microphone was found; connect one, then try again.",
  NotReadableError: "Another program uses the microphone; close it, then try again.",
};
const FULL = 0.98, NEARLY_FULL = 0.9;  // shares of the largest file
const QUIET = 0.02;                    // peak of a piece without speech

/**
 * Let the buttons of the page record, and hand over each recording when it is stopped. One that grows too large
 * for the server goes on in another file, from a pause on if there is one.
 * @param {function(File[])} onFiles
 * @param {function(): number} mostBytes the largest file that the server takes
 */
export function bindRecorder(onFiles, mostBytes) {
  const button = byId("record");
  let recorder = null, preview = null, count = 0;
  const show = (active) => {
    button.textContent = active ? "Stop" : "Record";
    button.classList.toggle("main", active);
    byId("recording").hidden = byId("live").hidden = !active;
    byId("live").textContent = "";
    showProgress(0, 0);
  };
  const hear = (piece, peak) => {
    count += piece.length;
    showProgress(count / RATE, peak);
    preview?.send(piece);
    const share = (recorder?.bytes ?? 0) / mostBytes();
    if (share > (peak < QUIET ? NEARLY_FULL : FULL)) onFiles([recorder.take()]);
  };
  const begin = async () => {
    clearError();
    button.disabled = true;
    try {
      count = 0;
      recorder = await Recorder.start(hear);
      preview = new LivePreview(RATE, showLive);
      show(true);
      say("Recording.");
    } catch (error) {
      showError(REASONS[error.name] ?? error.message);
    }
    button.disabled = false;
  };
  const end = async (keep) => {
    const ending = recorder;
    recorder = null;
    preview.close();
    show(false);
    await ending.stop();
    button.focus();
    if (keep) onFiles([ending.take()]);
    else say("The recording is discarded.");
  };
  button.addEventListener("click", () => (recorder ? end(true) : begin()));
  byId("discard").addEventListener("click", () => end(false));
  window.addEventListener("beforeunload", (event) => { if (recorder) event.preventDefault(); });
}

function showProgress(seconds, peak) {
  byId("elapsed").textContent = clock(seconds);
  byId("level").value = peak;
}

function showLive(text) {
  const place = byId("live");
  place.textContent = text;
  place.scrollTop = place.scrollHeight;
}
