// A text or a file becomes a download.

import { element } from "./dom.js";

/**
 * Let the browser save something.
 * @param {string} name of the file
 * @param {Blob|string} content
 * @param {string} type media type of a string
 */
export function download(name, content, type = "text/plain") {
  const blob = content instanceof Blob ? content : new Blob([content], { type: `${type};charset=utf-8` });
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);  // the browser may still be reading it
}

/** Return the name of a file without its ending. */
export function stemOf(name) {
  return name.replace(/\.[^.]+$/, "") || name;
}
