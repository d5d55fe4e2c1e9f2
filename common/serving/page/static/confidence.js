// From a confidence to a class of base.css and to words, so that colour alone never says anything.

import { element } from "./dom.js";

const LEVELS = [
  { least: 0.8, name: "" },
  { least: 0.5, name: "unsure" },
  { least: 0, name: "doubtful" },
];

/** Return the class of a confidence from 0 to 1: "", "unsure" or "doubtful". */
export function levelOf(confidence) {
  return LEVELS.find((level) => confidence >= level.least)?.name ?? "doubtful";
}

/** Return a confidence in words: "82 % sure". */
export function describe(confidence) {
  return `${Math.floor(100 * confidence)} % sure`;
}

/** Return what the classes mean, as a line of text. */
export function legend() {
  const parts = LEVELS.slice(1).flatMap(({ name }, i) => [
    i ? ", " : "", element("span", { className: name }, name), ` below ${100 * LEVELS[i].least} %`,
  ]);
  return element("p", { className: "soft legend" }, "Words: ", ...parts);
}
