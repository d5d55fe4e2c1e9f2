// What a person makes of a page that was read: texts, which lines are checked, which are left out.
//
// The page stays as the server answered it. A state is a frozen list of lines {text, checked, leftOut}, one
// for each line of the page; every change makes another state, so that it can be undone.

/** Return the state of a page as it was read. */
export function linesOf(page) {
  const lines = page.lines.map(({ text }) => Object.freeze({ text, checked: false, leftOut: false }));
  return Object.freeze(lines);
}

/** Return a state in which the line `at` has other values; the same state if it has them already. */
export function changed(lines, at, values) {
  const line = { ...lines[at], ...values };
  if (Object.keys(line).every((key) => line[key] === lines[at][key])) return lines;
  return Object.freeze(lines.map((other, index) => (index === at ? Object.freeze(line) : other)));
}

/** Return a text as a line holds it: one blank between words, none at the ends. */
export function tidy(text) {
  return text.replace(/\s+/gu, " ").trim();
}

/** States of a page, one of which is now. */
export class History {
  constructor(state) {
    this.states = [state];
    this.at = 0;
  }

  get now() {
    return this.states[this.at];
  }

  get canUndo() {
    return this.at > 0;
  }

  get canRedo() {
    return this.at + 1 < this.states.length;
  }

  /** Make a state the one that is now; those that were undone are forgotten. */
  add(state) {
    if (state === this.now) return;
    this.states = [...this.states.slice(0, this.at + 1), state];
    this.at += 1;
  }

  undo() {
    if (this.canUndo) this.at -= 1;
  }

  redo() {
    if (this.canRedo) this.at += 1;
  }
}

/**
 * Return a page as `v1/ocr/corrections` takes it.
 *
 * @param page as the server answered it.
 * @param lines its state.
 * @param hasText whether a line keeps its text; the others are written as lines without any.
 */
export function correctedPage(page, lines, hasText = () => true) {
  const { picture, text, ...others } = page;
  return {
    ...others,
    lines: page.lines.map((line, at) => ({
      ...line,
      text: hasText(lines[at]) ? lines[at].text : "",
      checked: lines[at].checked,
    })),
  };
}

/** Return what decides whether a line is ground truth: it is not left out, and checked if that is wanted. */
export function isTruth(onlyChecked) {
  return (line) => !line.leftOut && (line.checked || !onlyChecked);
}

/** Return the words of a text, each with its first index and the one after its last. */
export function wordsIn(text) {
  return [...text.matchAll(/\S+/gu)].map((found) => ({
    text: found[0],
    start: found.index,
    end: found.index + found[0].length,
  }));
}

/** Return the number of the word at an index of a text: the one that holds it, or the last before it. */
export function wordAt(text, index) {
  return Math.max(0, wordsIn(text).filter((word) => word.start <= index).length - 1);
}

/** Return for each word of `after` whether it stayed, by the longest sequence of words in both. */
export function stayed(before, after) {
  const rows = before.length + 1, columns = after.length + 1;
  const longest = Array.from({ length: rows }, () => new Uint16Array(columns));
  for (let row = before.length - 1; row >= 0; row--) {
    for (let column = after.length - 1; column >= 0; column--) {
      longest[row][column] = before[row] === after[column]
        ? longest[row + 1][column + 1] + 1
        : Math.max(longest[row + 1][column], longest[row][column + 1]);
    }
  }
  const kept = after.map(() => false);
  for (let row = 0, column = 0; row < before.length && column < after.length;) {
    if (before[row] === after[column]) {
      kept[column] = true;
      row += 1;
      column += 1;
    } else if (longest[row + 1][column] >= longest[row][column + 1]) row += 1;
    else column += 1;
  }
  return kept;
}
