// The page of `asr serve`: recordings become text, one after the other, each in a card of its own.

import { byId } from "./dom.js";
import { takeFiles } from "./intake.js";
import { clearError, showError } from "./messages.js";
import { bindRecorder } from "./microphone.js";
import { RecordingCard } from "./recording.js";
import { send } from "./request.js";

const recorded = [];  // files of the microphone
let last = Promise.resolve();
let mostBytes = Infinity;

/** Show recordings, and transcribe each when those before it are done. */
function take(files) {
  clearError();
  const cards = files.map((file) => new RecordingCard(file, enqueue));
  byId("recordings").append(...cards.map((card) => card.element));
  cards[0].element.scrollIntoView({ block: "nearest" });
  cards.forEach(enqueue);
}

/** Let a card transcribe its recording when those that came before are done. */
function enqueue(card) {
  const words = wordsToExpect(), { signal } = card.ending;
  last = last.then(() => card.transcribe(words, signal));
}

function wordsToExpect() {
  return byId("words").value.split(",").map((word) => word.trim()).filter(Boolean);
}

takeFiles(byId("drop"), byId("files"), take);
bindRecorder((files) => { recorded.push(...files); take(files); }, () => mostBytes);
window.addEventListener("beforeunload", (event) => {
  if (recorded.some((file) => !file.isSaved)) event.preventDefault();  // they are nowhere else
});
send("/v1/models").then(({ data: [model] }) => {
  byId("model").textContent = `Model: ${model.id}`;
  mostBytes = model.max_upload_bytes;
}, (refusal) => showError(refusal.message));
