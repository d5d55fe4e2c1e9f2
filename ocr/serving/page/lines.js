// The lines of a page as a list of texts, and the editor that takes the place of one.
//
//   Enter, F2  correct the line      Up, Down, Home, End  other lines
//   Space      checked or not        Delete               left out or not      Backspace  as it was read
//   in the editor: Enter keeps the text and opens the next line, Tab selects the next word, Escape cancels

import { describe, levelOf } from "./confidence.js";
import { stayed, tidy, wordAt, wordsIn } from "./document.js";
import { element } from "./dom.js";
import { flattened } from "./geometry.js";
import { drawn } from "./viewer.js";

/** Return the name of how a line looks, of which `read` is what the server answered. */
export function lookOf(line, read) {
  if (line.leftOut) return "left-out";
  return line.checked ? "checked" : levelOf(read.confidence) || "sure";
}

export class Lines {
  /**
   * @param list the <ol>.
   * @param actions onHover(at or null), onFocus(at), onWord(at, number of a recognised word or null) and
   *   onChange(at, values).
   */
  constructor(list, actions) {
    Object.assign(this, { list, ...actions, page: null, editing: null, isPressed: false });
    document.addEventListener("mousedown", () => { this.isPressed = true; }, true);
    document.addEventListener("click", () => this.#released(), true); // before what the click does
    document.addEventListener("mouseup", () => setTimeout(() => this.#released()), true);
    list.addEventListener("keydown", (event) => this.#key(event));
    list.addEventListener("click", (event) => this.#click(event));
    list.addEventListener("mousedown", (event) => {
      if (this.editing && event.target.closest(".about")) event.preventDefault(); // it keeps the focus
    });
    list.addEventListener("pointerover", (event) => this.onHover(this.#at(event.target)));
    list.addEventListener("pointerleave", () => this.onHover(this.#at(document.activeElement)));
    list.addEventListener("focusin", (event) => this.#focused(this.#at(event.target)));
  }

  /** Show a page in a state; `address` is that of its picture. */
  show(page, lines, address) {
    Object.assign(this, { page, lines, address, editing: null, current: 0 });
    this.items = page.lines.map((_, at) => element("li", { dataset: { at } }));
    this.items.forEach((_, at) => this.#fill(at));
    this.list.replaceChildren(...this.items);
  }

  /** Show another state of the same page; what had the focus in a line has it again. */
  update(lines) {
    const before = this.lines;
    this.lines = lines;
    lines.forEach((line, at) => {
      if (line === before[at] || at === this.editing?.at) return;
      const item = this.items[at], focused = document.activeElement, hadFocus = item.contains(focused);
      this.#fill(at);
      if (hadFocus) (item.querySelector(`.${focused.classList[0]}`) ?? item.querySelector(".text")).focus();
    });
  }

  /** Mark a line, or none, and bring it into sight if `scrolls`. */
  mark(at, scrolls) {
    this.items.forEach((item, index) => item.classList.toggle("marked", index === at));
    if (at === null || !scrolls) return;
    const { top, bottom } = this.items[at].getBoundingClientRect(), seen = this.list.getBoundingClientRect();
    this.list.scrollTop += Math.min(0, top - seen.top) + Math.max(0, bottom - seen.bottom); // not the window
  }

  /** Open the editor of a line, with a word selected. */
  edit(at, number = 0) {
    this.#close(true);
    const editor = this.#editor(at);
    this.editing = { at, input: editor.querySelector("textarea") };
    this.#makeCurrent(at);
    this.items[at].classList.add("editing");
    this.items[at].querySelector(".text").replaceWith(editor);
    this.items[at].scrollIntoView({ block: "nearest" });
    this.editing.input.focus({ preventScroll: true });
    this.#fit();
    this.#select(number);
  }

  /** Close the editor if it is open; its text is kept. */
  leave() {
    this.#close(true);
  }

  /** Give the focus to a line. */
  focus(at) {
    this.#makeCurrent(at);
    this.items[at].querySelector(".text").focus();
  }

  #at(target) {
    const item = target?.closest?.("li[data-at]");
    return item && this.list.contains(item) ? Number(item.dataset.at) : null;
  }

  #focused(at) {
    if (at === null) return;
    this.#makeCurrent(at);
    this.onFocus(at);
  }

  /** Let the tabulator reach the line `at` and its buttons, and no other one. */
  #makeCurrent(at) {
    const before = this.current;
    this.current = at;
    for (const [index, order] of [[before, -1], [at, 0]]) {
      for (const one of this.items[index].querySelectorAll(".text, button")) one.tabIndex = order;
    }
  }

  #fill(at) {
    const line = this.lines[at], read = this.page.lines[at], item = this.items[at];
    const isChanged = line.text !== read.text;
    item.dataset.look = lookOf(line, read);
    const tabIndex = at === this.current ? 0 : -1;
    const said = line.leftOut ? "left out" : line.checked ? (isChanged ? "corrected" : "checked") :
      `${Math.floor(100 * read.confidence)} %`;
    const title = isChanged ? `Read: ${read.text}` : "";
    const text = element("div", {
      className: "text", role: "button", tabIndex, dir: "auto", "aria-describedby": `said-${at}`,
    }, ...this.#words(at));
    const button = (name, label, pressed, title) => element("button", {
      type: "button", tabIndex, className: name, title, ariaLabel: title, ariaPressed: pressed,
    }, label);
    item.replaceChildren(
      text,
      element("div", { className: "about" },
        element("span", { className: "said", id: `said-${at}`, title }, said),
        isChanged ? button("revert", "↶", null, "Back to what was read (Backspace)") : "",
        button("check", "✓", String(line.checked), "The text is right (Space)"),
        button("leave", "⊘", String(line.leftOut), "Leave this line out of the ground truth (Delete)"),
      ),
    );
  }

  /** Return the words of a line as elements: coloured by confidence as long as they are what was read. */
  #words(at) {
    const line = this.lines[at], read = this.page.lines[at];
    const words = wordsIn(line.text).map((word) => word.text);
    if (!words.length) return [element("span", { className: "empty", textContent: "no text" })];
    const kept = stayed(wordsIn(read.text).map((word) => word.text), words);
    const isRead = line.text === read.text && read.words.length === words.length;
    return words.flatMap((word, number) => {
      const confidence = isRead && !line.checked ? read.words[number].confidence : null;
      const className = confidence === null ? (kept[number] ? "" : "new") : levelOf(confidence);
      const title = confidence === null ? "" : describe(confidence);
      return [number ? " " : "", element("span", { className, title, dataset: { number } }, word)];
    });
  }

  #click(event) {
    const at = this.#at(event.target);
    if (at === null || event.target.closest(".editor")) return;
    if (event.target.matches("button") && this.editing?.at === at) {
      const isRight = event.target.matches(".check");
      this.#close(!event.target.matches(".revert"), isRight);
      if (isRight) return;
    }
    if (event.target.matches(".check")) this.#toggle(at, "checked");
    else if (event.target.matches(".leave")) this.#toggle(at, "leftOut");
    else if (event.target.matches(".revert")) this.#revert(at);
    else if (event.target.closest(".text") && getSelection().isCollapsed) {
      this.edit(at, Number(event.target.dataset.number ?? 0));
    }
  }

  #key(event) {
    if (!event.target.matches(".text") || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = this.#at(event.target), last = this.items.length - 1;
    const places = { ArrowUp: Math.max(0, at - 1), ArrowDown: Math.min(last, at + 1), Home: 0, End: last };
    if (event.key in places) this.focus(places[event.key]);
    else if (event.key === "Enter" || event.key === "F2") this.edit(at);
    else if (event.key === " ") this.#toggle(at, "checked");
    else if (event.key === "Delete") this.#toggle(at, "leftOut");
    else if (event.key === "Backspace") this.#revert(at);
    else return;
    event.preventDefault();
  }

  #toggle(at, name) {
    this.onChange(at, { [name]: !this.lines[at][name] });
  }

  #revert(at) {
    this.onChange(at, { text: this.page.lines[at].text, checked: false });
  }

  // --- the editor

  #editor(at) {
    const { transform, box } = flattened(this.page.lines[at]);
    const width = box.right - box.left, height = box.bottom - box.top;
    const viewBox = `${box.left} ${box.top} ${width} ${height}`;
    const strip = drawn("svg", { viewBox, "aria-hidden": "true" });
    const { width: wide, height: high } = this.page.dimensions;
    strip.append(drawn("image", { href: this.address, width: wide, height: high, transform }));
    strip.style.aspectRatio = `${width} / ${height}`;
    const input = element("textarea", {
      rows: 1, dir: "auto", spellcheck: false, autocapitalize: "off", autocomplete: "off",
      enterKeyHint: "next", ariaLabel: `Text of line ${at + 1}`, value: this.lines[at].text,
    });
    input.setAttribute("autocorrect", "off");
    input.addEventListener("keydown", (event) => this.#editorKey(event));
    input.addEventListener("input", () => this.#fit());
    const moves = ["input", "keyup", "click", "focus"]; // of the cursor
    for (const name of moves) input.addEventListener(name, () => this.#follow());
    input.addEventListener("blur", () => this.isPressed || this.#close(true));
    return element("div", { className: "editor" }, element("div", { className: "strip" }, strip), input);
  }

  #editorKey(event) {
    if (event.isComposing) return;
    const { at, input } = this.editing;
    if (event.key === "Enter") {
      event.preventDefault();
      this.#close(true, true);
      if (at + 1 < this.items.length) this.edit(at + 1);
      else this.focus(at);
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.#close(false);
      this.focus(at);
    } else if (event.key === "Tab") {
      const count = wordsIn(input.value).length;
      const next = wordAt(input.value, input.selectionStart) + (event.shiftKey ? -1 : 1);
      if (next < 0 || next >= count) return; // the focus leaves the line
      event.preventDefault();
      this.#select(next);
    }
  }

  #select(number) {
    const { input } = this.editing, word = wordsIn(input.value)[number];
    if (word) input.setSelectionRange(word.start, word.end);
    this.#follow();
  }

  /** Let the input be as high as its text. */
  #fit() {
    const { input } = this.editing;
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight + input.offsetHeight - input.clientHeight}px`;
  }

  /** Show the place of the word at the cursor, as long as the text has as many words as were read. */
  #follow() {
    if (!this.editing) return;
    const { at, input } = this.editing, words = this.page.lines[at].words;
    const known = wordsIn(input.value).length === words.length;
    const number = known ? wordAt(input.value, input.selectionStart) : null;
    this.onWord(at, number);
    if (number === null || !words.length) return;
    const strip = input.previousElementSibling, { box } = flattened(this.page.lines[at]);
    const middle = ((words[number].start + words[number].end) / 2 - box.left) / (box.right - box.left);
    strip.scrollLeft = middle * strip.scrollWidth - strip.clientWidth / 2;
  }

  /** Close an editor that a press has left: earlier, what is pressed would move away before the click. */
  #released() {
    this.isPressed = false;
    if (this.editing && this.editing.input !== document.activeElement) this.#close(true);
  }

  /** Close the editor; its text is kept with `keeps`, and is right with `confirms`. */
  #close(keeps, confirms = false) {
    if (!this.editing) return;
    const { at, input } = this.editing, text = tidy(input.value), had = input === document.activeElement;
    this.editing = null; // removing the input takes the focus away, which closes it, too
    const differs = text !== this.lines[at].text;
    if (keeps && (differs || confirms)) this.onChange(at, { text, checked: true });
    this.#fill(at);
    this.items[at].classList.remove("editing");
    this.onWord(at, null);
    if (had && confirms) this.focus(at);
  }
}
