// What is said, while it is recorded: a preview, which comes after each pause. The text with its times is made of
// the whole recording afterwards.

import { currentKey } from "./key.js";

const ADDRESS = "/v1/realtime?intent=transcription";
const SOUND = (rate) => ({ input: { format: { type: "audio/pcm", rate } } });
const LETTERS_AT_ONCE = 8192;

export class LivePreview {
  /**
   * @param {number} rate in Hz
   * @param {function(string)} onText gets the text so far
   */
  constructor(rate, onText) {
    Object.assign(this, { onText, text: "", item: null, waiting: [] });
    try {
      this.socket = new WebSocket(addressOf(location), protocols());
    } catch {
      return;  // the key has signs that no subprotocol may have: there is no preview
    }
    this.socket.addEventListener("open", () => {
      this.tell({ type: "session.update", session: { type: "transcription", audio: SOUND(rate) } });
      this.waiting.splice(0).forEach((piece) => this.send(piece));
    });
    this.socket.addEventListener("message", ({ data }) => this.hear(JSON.parse(data)));
  }

  /** Send a piece of the sound: an Int16Array. */
  send(piece) {
    if (this.socket?.readyState === WebSocket.CONNECTING) this.waiting.push(piece);
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.tell({ type: "input_audio_buffer.append", audio: base64(new Uint8Array(piece.buffer)) });
  }

  tell(event) {
    this.socket.send(JSON.stringify(event));
  }

  hear(event) {
    if (event.type !== "conversation.item.input_audio_transcription.delta") return;
    if (this.text && event.item_id !== this.item) this.text += " ";
    this.item = event.item_id;
    this.onText(this.text += event.delta);
  }

  close() {
    this.socket?.close();
    this.onText = () => {};
  }
}

function addressOf(place) {
  const address = new URL(ADDRESS, place);
  address.protocol = address.protocol.replace("http", "ws");
  return address;
}

/** Return the subprotocols: a page can send no header with a websocket, so one of them holds the key. */
function protocols() {
  const key = currentKey();
  return ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])];
}

function base64(bytes) {
  let letters = "";
  for (let i = 0; i < bytes.length; i += LETTERS_AT_ONCE) {
    letters += String.fromCharCode(...bytes.subarray(i, i + LETTERS_AT_ONCE));
  }
  return btoa(letters);
}
