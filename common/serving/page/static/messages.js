// What a screen reader is told, and errors that belong to no file.
//
// The page has <p id="status" role="status" class="unseen"></p> and <div id="errors" role="alert"></div>.

import { byId, element } from "./dom.js";

/** Tell a screen reader what has happened; nothing is shown. */
export function say(sentence) {
  byId("status").textContent = sentence;
}

/** Show an error until the next one, or until `clearError`. */
export function showError(sentence) {
  byId("errors").replaceChildren(element("p", { className: "error" }, sentence));
}

export function clearError() {
  byId("errors").replaceChildren();
}
