// From a confidence to a class of base.css and to words, so that colour alone never says anything.

const LEVELS = [
  { least: 0.9, name: "" },
  { least: 0.6, name: "unsure" },
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
