// The key that the server may want. It is kept for as long as the tab is open, and sent to this server alone.

import { element } from "./dom.js";

const PLACE = "key";
let asking = null;

/** Return the key; null if none was given. */
export function currentKey() {
  return sessionStorage.getItem(PLACE);
}

/** Return the headers of a request: those of the key, if there is one. */
export function keyHeaders() {
  const key = currentKey();
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** Ask for the key; resolves to whether one was given. Requests that ask at the same time share the field. */
export function askForKey() {
  asking ??= ask().finally(() => { asking = null; });
  return asking;
}

function ask() {
  const wrong = currentKey() !== null;
  sessionStorage.removeItem(PLACE);
  const field = element("input", {
    id: "key", type: "password", required: true, autocomplete: "current-password", "aria-describedby": "key-why",
  });
  const cancel = element("button", { type: "button" }, "Cancel");
  const why = wrong
    ? "The server does not know this key. Check it, or ask whoever runs the server."
    : "This server answers only with a key. Ask whoever runs it. The key is kept until this tab is closed.";
  const form = element("form", {},
    element("input", { type: "text", autocomplete: "username", value: "server", hidden: true }),  // for the browser's store
    element("div", { className: "field" },
      element("label", { htmlFor: "key" }, "Key"), field,
      element("p", { id: "key-why", className: wrong ? "error" : "soft", role: wrong ? "alert" : "note" }, why)),
    element("div", { className: "row" },
      element("button", { type: "submit", className: "main" }, "Use this key"), cancel));
  const dialog = element("dialog", { "aria-label": "Key of the server" }, form);
  document.body.append(dialog);
  return new Promise((resolve) => {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      sessionStorage.setItem(PLACE, field.value.trim());
      dialog.close("given");
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "given");
    });
    dialog.showModal();
    field.focus();
  });
}
