// The text of a recording: a paragraph for each passage, in which each word has its time and its confidence.
//
// The text is one stop of the Tab key. Within it, arrows go from word to word and from paragraph to paragraph,
// and Enter plays; a screen reader reads the paragraphs as plain text.

import { describe, levelOf } from "./confidence.js";
import { element } from "./dom.js";
import { say } from "./messages.js";
import { clock } from "./times.js";

export class TranscriptView {
  /** @param {function(object)} onPlay gets the word that is to be played */
  constructor(onPlay) {
    this.onPlay = onPlay;
    this.element = element("div", {
      className: "text", role: "group", "aria-label": "Text. Arrow keys go from word to word, Enter plays from there.",
    });
    this.element.addEventListener("click", (event) => this.play(event.target));
    this.element.addEventListener("keydown", (event) => this.press(event));
    this.clear();
  }

  clear() {
    this.words = [];
    this.current = this.stop = null;
    this.element.replaceChildren();
    this.element.classList.remove("timed");
  }

  /** Add a passage: an event with its text, its times in seconds, and its words. */
  add({ delta, start, words }) {
    const paragraph = element("span", { dir: "auto" }), text = delta.trimStart();
    let place = 0;
    for (const word of words) {
      const found = Math.max(place, text.indexOf(word.word, place));
      paragraph.append(text.slice(place, found), this.spanOf(word));
      place = found + word.word.length;
    }
    paragraph.append(text.slice(place));
    const time = element("time", { hidden: !this.element.firstChild }, clock(start));
    this.element.append(element("p", {}, time, paragraph));
    if (this.element.children.length === 2) {  // a time helps where there are several
      this.element.classList.add("timed");
      this.element.querySelector("time").hidden = false;
    }
    if (!this.stop) this.stopAt(this.words[0]);
  }

  spanOf(word) {
    const span = element("span", {
      className: levelOf(word.confidence), tabIndex: -1, title: `${describe(word.confidence)}, ${clock(word.start)}`,
      dataset: { word: this.words.length },
    }, word.word);
    this.words.push({ ...word, span });
    return span;
  }

  /** Mark the word that is spoken at a time; scroll with it if the word before was in view. */
  mark(seconds, follow) {
    const word = this.wordAt(seconds);
    if (word === this.current) return;
    const followed = follow && this.current && isInView(this.current.span);
    this.current?.span.classList.remove("current");
    word?.span.classList.add("current");
    if (word && followed && !isInView(word.span)) word.span.scrollIntoView({ block: "center" });
    this.current = word;
  }

  /** Return the last word that begins before a time, null before the first. */
  wordAt(seconds) {
    let [low, high] = [0, this.words.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.words[middle].start <= seconds) low = middle + 1;
      else high = middle;
    }
    return this.words[low - 1] ?? null;
  }

  /** Go to the next word that is not sure, from the one that was last gone to; after the last, to the first. */
  focusNextUnsure() {
    const unsure = this.words.filter((word) => levelOf(word.confidence));
    const after = this.checked ?? -1;
    const next = unsure.find((word) => this.numberOf(word.span) > after) ?? unsure[0];
    this.checked = this.numberOf(next.span);
    this.goTo(next);
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.stop) return;
    const number = this.numberOf(this.stop.span);
    const moves = {
      ArrowRight: () => this.goTo(this.words[number + 1]),
      ArrowLeft: () => this.goTo(this.words[number - 1]),
      ArrowDown: () => this.goTo(this.firstOf(paragraphOf(this.stop).nextElementSibling)),
      ArrowUp: () => this.goTo(this.firstOf(paragraphOf(this.stop).previousElementSibling)),
      Home: () => this.goTo(this.words[0]),
      End: () => this.goTo(this.words.at(-1)),
      Enter: () => this.onPlay(this.stop),
      " ": () => this.onPlay(this.stop),
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  }

  play(target) {
    const word = this.words[target.dataset.word];
    if (!word || String(getSelection())) return;  // who selects text does not want to hear it
    this.stopAt(word);
    this.onPlay(word);
  }

  goTo(word) {
    if (!word) return;
    this.stopAt(word);
    word.span.focus();
    say(word.span.title);
  }

  /** Let the Tab key stop at a word. */
  stopAt(word) {
    if (!word) return;
    if (this.stop) this.stop.span.tabIndex = -1;
    this.stop = word;
    word.span.tabIndex = 0;
    this.checked = this.numberOf(word.span);
  }

  firstOf(paragraph) {
    return this.words[paragraph?.querySelector("[data-word]")?.dataset.word];
  }

  numberOf(span) {
    return Number(span.dataset.word);
  }
}

function paragraphOf(word) {
  return word.span.closest("p");
}

function isInView(span) {
  const { top, bottom } = span.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
