// A recording on the page: it is sent, its text comes, it can be heard, and its text can be saved.

import { legend, levelOf } from "./confidence.js";
import { byId, element } from "./dom.js";
import { download, stemOf } from "./download.js";
import { say } from "./messages.js";
import { Player } from "./player.js";
import { send } from "./request.js";
import { clock } from "./times.js";
import { TranscriptView } from "./transcript.js";

const UNPLAYABLE = "This browser cannot play this kind of file; the text is whole all the same.";
const ADDRESS = "/v1/audio/transcriptions";
const SAVED = [
  { label: "Text", ending: "txt", type: "text/plain", of: (answer) => `${answer.text}\n` },
  { label: "SRT", ending: "srt", type: "application/x-subrip", of: (answer) => answer.srt },
  { label: "VTT", ending: "vtt", type: "text/vtt", of: (answer) => answer.vtt },
  { label: "JSON", ending: "json", type: "application/json", of: (answer) => JSON.stringify(asked(answer), null, 2) },
];
let count = 0;

export class RecordingCard {
  /**
   * @param {File} file
   * @param {function(RecordingCard)} again puts the card into the queue once more
   */
  constructor(file, again) {
    this.file = file;
    this.again = again;
    const id = `recording-${++count}`;
    this.facts = element("p", { className: "soft" });
    this.remove = element("button", { type: "button", className: "plain push" }, "Remove");
    this.remove.setAttribute("aria-label", `Remove ${file.name}`);
    this.state = element("div", { className: "state" });
    this.text = new TranscriptView((word) => this.player?.playFrom(word.start));
    this.place = element("div");
    this.rest = element("div");
    this.element = element("article", { className: "card recording", "aria-labelledby": id },
      element("header", {}, element("h2", { id }, file.name), this.facts, this.remove),
      this.state, this.place, this.rest, this.text.element);
    this.remove.addEventListener("click", () => this.drop());
    this.wait();
  }

  /** Show that others come first. */
  wait() {
    this.ending = new AbortController();
    this.player?.offer(null);
    this.replace(() => {
      this.rest.replaceChildren();
      this.show("Waiting", null);
    });
  }

  /**
   * Send the recording and show its text as it comes.
   * @param {string[]} words to expect
   * @param {AbortSignal} signal says that it is no longer wanted
   */
  async transcribe(words, signal) {
    if (signal.aborted) return;
    this.text.clear();
    this.listen();
    this.show("Sending");
    try {
      this.finish(await send(ADDRESS, {
        body: formOf(this.file, words),
        as: "events",
        name: this.file.name,
        signal,
        onUpload: (share) => (share < 1 ? this.show("Sending", share) : this.show("Transcribing")),
        onWait: (seconds) => this.show(`The server is busy; trying again in ${seconds} s`),
        onEvent: (event) => this.take(event),
      }));
    } catch (error) {
      this.fail(error);
    }
  }

  /** Show the sound, when the first transcription begins. */
  listen() {
    if (this.player) return;
    this.player = new Player(this.file, this.text);
    this.place.replaceWith(this.player.element);
    this.player.ready.then((playable) => this.element.classList.toggle("playable", playable));
  }

  take(event) {
    if (event.type !== "transcript.text.delta") return;
    this.player.setDuration(event.duration);
    this.text.add(event);
    this.player.draw();
    this.show(`Transcribing: ${clock(event.end)} of ${clock(event.duration)}`, event.end / event.duration);
  }

  finish(answer) {
    const unsure = answer.words.filter((word) => levelOf(word.confidence)).length;
    const facts = [clock(answer.duration), plural(answer.words.length, "word"), `${unsure} unsure`];
    this.player.setDuration(answer.duration);
    this.facts.textContent = answer.words.length ? facts.join(" · ") : facts[0];
    this.replace(() => {
      this.state.replaceChildren();
      this.rest.replaceChildren();
      if (!answer.text) this.rest.append(element("p", { className: "soft" }, "No words were found."));
      this.rest.append(this.saving(answer));
      if (unsure) this.rest.append(legend());
    });
    this.player.offer(unsure ? this.nextButton() : null);
    this.player.ready.then((playable) => {
      if (!playable) this.rest.append(element("p", { className: "soft" }, UNPLAYABLE));
    });
    if (answer.language !== "unknown") this.text.element.lang = answer.language;
    say(`${this.file.name} is transcribed: ${facts.slice(1).join(", ")}.`);
  }

  nextButton() {
    const button = this.button("Next unsure word", () => this.text.focusNextUnsure());
    button.classList.add("plain", "push");
    return button;
  }

  /** Return the buttons that save the text, and the sound if it was recorded here. */
  saving(answer) {
    const row = element("div", { className: "row downloads", role: "group", "aria-label": "Save" });
    const stem = stemOf(this.file.name);
    for (const { label, ending, type, of } of SAVED) {
      row.append(this.button(label, () => download(`${stem}.${ending}`, of(answer), type)));
    }
    row.append(...this.soundButton());
    if (navigator.clipboard) {
      row.append(this.button("Copy", async () => {
        await navigator.clipboard.writeText(answer.text);
        say("The text is copied.");
      }));
    }
    const again = this.againButton("Transcribe again");
    again.classList.add("plain", "push");
    row.append(again);
    return row;
  }

  fail(error) {
    if (!this.element.isConnected) return;  // it was removed
    const cancelled = error.name === "AbortError";
    const sentence = cancelled ? "Cancelled." : error.message.replace(": keywords: ", ": ");  // a name of the interface
    const note = cancelled
      ? element("p", { className: "soft" }, sentence)
      : element("p", { className: "error" }, sentence);
    this.replace(() => {
      this.state.replaceChildren();
      this.rest.replaceChildren(note, element("div", { className: "row downloads" },
        this.againButton("Try again"), ...this.soundButton()));
    });
    say(sentence);
  }

  /** Change what is shown; if a button that had the focus goes, the first one that comes has it. */
  replace(change) {
    const held = [this.state, this.rest].some((part) => part.contains(document.activeElement));
    change();
    if (held) (this.state.querySelector("button") ?? this.rest.querySelector("button")).focus();
  }

  /** Return a button for the sound of a microphone, which is nowhere else, and none for other files. */
  soundButton() {
    if (!this.file.recordedHere) return [];
    return [this.button("Sound", () => {
      download(this.file.name, this.file);
      this.file.isSaved = true;
    })];
  }

  againButton(label) {
    return this.button(label, () => { this.wait(); this.again(this); });
  }

  button(label, onClick) {
    const button = element("button", { type: "button" }, label);
    button.addEventListener("click", onClick);
    return button;
  }

  /** Show what is going on, and how far it is: a share from 0 to 1, null if it has not begun. */
  show(sentence, share) {
    if (!this.state.firstChild) this.fillState();
    const [what, progress] = this.state.children;
    what.textContent = sentence;
    progress.hidden = share === null;
    if (typeof share === "number") progress.value = share;
    else progress.removeAttribute("value");
  }

  fillState() {
    const cancel = this.button("Cancel", () => this.cancel());
    const progress = element("progress", { max: 1, "aria-label": `Progress of ${this.file.name}` });
    this.state.replaceChildren(element("p", { className: "soft" }), progress, cancel);
  }

  cancel() {
    const waits = this.state.children[1].hidden;
    this.ending.abort();
    if (waits) this.fail(new DOMException("ended", "AbortError"));  // otherwise the request tells
  }

  /** Forget the recording. */
  drop() {
    this.ending.abort();
    this.player?.close();
    this.file.isSaved = true;  // nobody wants it
    const next = this.element.nextElementSibling?.querySelector("button") ?? byId("files");
    this.element.remove();
    next.focus();
    say(`${this.file.name} is removed.`);
  }
}

function formOf(file, words) {
  const form = new FormData();
  form.append("file", file);
  form.append("response_format", "verbose_json");
  form.append("stream", "true");
  for (const one of ["segment", "word"]) form.append("timestamp_granularities[]", one);
  for (const one of ["srt", "vtt"]) form.append("include[]", one);
  for (const word of words) form.append("keywords[]", word);
  return form;
}

/** Return an answer as the server gives it without what this page asks for besides. */
function asked({ type, srt, vtt, ...answer }) {
  return answer;
}

function plural(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
