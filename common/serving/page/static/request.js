// A request to the server of this page: its progress, its events, and what went wrong as one sentence.

import { askForKey, keyHeaders } from "./key.js";

const EVENT = "data: ";
const LAST = "[DONE]";

/** Why there is no answer, as one sentence for the reader. */
export class Refusal extends Error {
  /**
   * @param {string} sentence
   * @param {number} status of HTTP; 0 if there was no answer
   */
  constructor(sentence, status = 0) {
    super(sentence);
    this.status = status;
  }
}

/**
 * Send a request and return its answer. It asks for a key if the server wants one, and waits and tries again
 * if the server has too much to do.
 *
 * @param {string} path
 * @param {object} options
 * @param {FormData|string|Blob|null} options.body posted if there is one; a string is JSON
 * @param {"json"|"text"|"blob"|"events"} options.as what is returned; the last event of "events"
 * @param {string} options.name of the file, which errors begin with
 * @param {AbortSignal} options.signal ends it, with an AbortError
 * @param {function(number)} options.onUpload gets the share that has been sent, 0 to 1
 * @param {function(number)} options.onWait gets the seconds until the next try
 * @param {function(object)} options.onEvent gets each event, with `as: "events"`
 * @throws {Refusal}
 */
export async function send(path, options = {}) {
  for (;;) {
    const answer = await sendOnce(path, options);
    if (answer.status === 401) {
      if (await askForKey()) continue;
      throw new Refusal(`${begin(options.name)}the server wants a key, and none was given.`, 401);
    } else if (answer.status === 429) {
      const seconds = Number(answer.getResponseHeader("retry-after")) || 5;
      options.onWait?.(seconds);
      await pause(seconds, options.signal);
    } else if (answer.status >= 400) {
      throw new Refusal(sentenceOf(await errorOf(answer), options.name), answer.status);
    } else {
      return valueOf(answer, options);
    }
  }
}

function sendOnce(path, { body = null, as = "json", name = "", signal, onUpload, onEvent }) {
  const request = new XMLHttpRequest();  // fetch does not tell how much has been sent
  const headers = { ...keyHeaders(), ...(typeof body === "string" ? { "content-type": "application/json" } : {}) };
  let loaded = 0, sent = body === null;
  return new Promise((resolve, reject) => {
    const end = (then) => { signal?.removeEventListener("abort", abort); then(); };
    const abort = () => request.abort();
    const events = as === "events" ? new Events(request, onEvent) : null;
    request.open(body === null ? "GET" : "POST", path);
    for (const [header, value] of Object.entries(headers)) request.setRequestHeader(header, value);
    if (as === "blob") request.responseType = "blob";
    request.upload.addEventListener("progress", (event) => {
      loaded = event.loaded;
      if (event.lengthComputable) onUpload?.(event.loaded / event.total);
    });
    request.upload.addEventListener("load", () => { sent = true; onUpload?.(1); });
    request.addEventListener("progress", () => events?.read());
    request.addEventListener("abort", () => end(() => reject(new DOMException("ended", "AbortError"))));
    request.addEventListener("error", () => end(() => reject(new Refusal(begin(name) + unreached(loaded > 0 && !sent)))));
    request.addEventListener("load", () => end(() => {
      try {
        events?.read();
        resolve(Object.assign(request, { events }));
      } catch (error) {
        reject(error);
      }
    }));
    if (signal?.aborted) return reject(new DOMException("ended", "AbortError"));
    signal?.addEventListener("abort", abort);
    request.send(body);
  });
}

/** The events of an answer that is still coming. */
class Events {
  constructor(request, onEvent) {
    Object.assign(this, { request, onEvent, place: 0, last: null, error: null, ended: false });
  }

  /** Hand over the events that have come since. */
  read() {
    if (this.request.status !== 200) return;
    const text = this.request.responseText;
    for (let end; (end = text.indexOf("\n\n", this.place)) >= 0; this.place = end + 2) {
      const data = text.slice(this.place + EVENT.length, end);
      if (data === LAST) this.ended = true;
      else this.take(JSON.parse(data));
    }
  }

  take(event) {
    if (event.error) this.error = event.error;
    else this.onEvent?.(this.last = event);
  }
}

function valueOf(answer, { as = "json", name = "" }) {
  if (as === "blob") return answer.response;
  if (as === "text") return answer.responseText;
  if (as === "json") return JSON.parse(answer.responseText);
  const { error, ended, last } = answer.events;
  if (error) throw new Refusal(sentenceOf(error, name), 200);
  if (!ended) throw new Refusal(`${begin(name)}the answer broke off; what has come is shown. Try again.`);
  return last;
}

async function errorOf(answer) {
  const text = answer.responseType === "blob" ? await answer.response.text() : answer.responseText;
  try {
    return JSON.parse(text).error;
  } catch {
    return { message: `the server answered ${answer.status} without a reason.` };
  }
}

/** Return what the server says as a sentence; it calls every file "file". */
function sentenceOf(error, name) {
  const said = error.message.replace(/^file: /, "");
  return begin(name) + said + (/[.!?]$/.test(said) ? "" : ".");
}

function unreached(whileSending) {
  return whileSending
    ? "the connection ended while the file was sent: it may be too large for the server, or the network is gone."
    : "the server cannot be reached; check that it runs and that the network is there, then try again.";
}

function begin(name) {
  return name ? `${name}: ` : "";
}

/** Return when the time is over; an AbortError when the signal comes. */
export function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("ended", "AbortError"));
    });
  });
}
