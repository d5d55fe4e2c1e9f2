// The picture of a page with its lines over it: zoomed and moved by wheel, fingers, mouse and keys.

import { boxOf, fitted, moved, pointsOf, showing, zoomed } from "./geometry.js";

const STEP = 1.25;
/** a pointer that has moved farther, in pixels of the screen, drags */
const DRAG_PX = 6;

/** Return an element of SVG. */
export function drawn(tag, attributes = {}) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/** Return how far two pointers are apart, in pixels of the screen. */
function apart(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
}

export class Viewer {
  /**
   * @param frame the element that the picture fills; it can have the focus.
   * @param onHover is called with the number of a line, or null.
   * @param onChoose is called with the number of a line and the point [x, y] of the page.
   */
  constructor(frame, onHover, onChoose) {
    Object.assign(this, { frame, onHover, onChoose, page: null, lines: [] });
    Object.assign(this, { pointers: new Map(), dragged: false, pressed: null });
    this.svg = drawn("svg", { "aria-hidden": "true" });
    this.word = drawn("polygon", { class: "word" });
    frame.append(this.svg);
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("keydown", (event) => this.#key(event));
    this.svg.addEventListener("pointerdown", (event) => this.#down(event));
    this.svg.addEventListener("pointermove", (event) => this.#move(event));
    this.svg.addEventListener("pointerup", (event) => this.#up(event));
    this.svg.addEventListener("pointercancel", (event) => this.#up(event));
    this.svg.addEventListener("click", (event) => this.#click(event));
    this.svg.addEventListener("pointerover", (event) => onHover(this.#lineOf(event)));
    this.svg.addEventListener("pointerleave", () => onHover(null));
    new ResizeObserver(() => this.fit()).observe(frame);
  }

  /** Show a page; `address` is that of its picture. */
  show(page, address) {
    const { width, height } = page.dimensions;
    this.page = { width, height };
    this.lines = page.lines.map((line, at) =>
      drawn("polygon", { points: pointsOf(line.polygon), "data-at": at }));
    this.boxes = page.lines.map((line) => boxOf(line.polygon));
    this.svg.replaceChildren(drawn("image", { href: address, width, height }), ...this.lines, this.word);
    this.markWord(null);
    this.fit();
  }

  /** Show the whole page. */
  fit() {
    const frame = this.#size();
    if (this.page && frame.width && frame.height) this.#see(fitted(this.page, frame));
  }

  /** Show more or less around the middle of what is seen. */
  zoom(factor) {
    if (!this.page) return;
    const { x, y, width, height } = this.view;
    this.#see(zoomed(this.view, factor, { x: x + width / 2, y: y + height / 2 }, this.page, this.#size()));
  }

  /** Say how a line looks. */
  dress(at, look) {
    this.lines[at].dataset.look = look;
  }

  /** Mark one line, or none. */
  mark(at) {
    this.lines.forEach((line, index) => line.classList.toggle("marked", index === at));
  }

  /** Mark the place of a word, a box [left, top, right, bottom], or none. */
  markWord(box) {
    const [left, top, right, bottom] = box ?? [];
    const corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    this.word.setAttribute("points", box ? pointsOf(corners) : "");
  }

  /** Move so that a line is seen. */
  reveal(at) {
    this.#see(showing(this.view, this.boxes[at], this.page, this.#size()));
  }

  #size() {
    return { width: this.frame.clientWidth, height: this.frame.clientHeight };
  }

  #see(view) {
    this.view = view;
    this.svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    const whole = fitted(this.page, this.#size());
    this.frame.classList.toggle("zoomed", view.width < whole.width * 0.999);
  }

  #point({ clientX, clientY }) {
    const place = this.svg.getBoundingClientRect(), { x, y, width, height } = this.view;
    return {
      x: x + ((clientX - place.left) / place.width) * width,
      y: y + ((clientY - place.top) / place.height) * height,
    };
  }

  #lineOf(event) {
    const at = event.target.dataset?.at;
    return at === undefined ? null : Number(at);
  }

  #wheel(event) {
    const zoomsOut = event.deltaY > 0;
    if (!this.page || (zoomsOut && !this.frame.classList.contains("zoomed"))) return; // the window scrolls
    event.preventDefault();
    this.#see(zoomed(this.view, STEP ** (event.deltaY / 100), this.#point(event), this.page, this.#size()));
  }

  #key(event) {
    if (!this.page || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = this.view.width / 8;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves) this.#see(moved(this.view, ...moves[event.key], this.page));
    else if (event.key === "+" || event.key === "=") this.zoom(1 / STEP);
    else if (event.key === "-") this.zoom(STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  #down(event) {
    if (event.button !== 0) return;
    if (this.pointers.size === 0) this.dragged = false;
    this.pressed = this.#lineOf(event); // the capture takes the line away from later events
    this.svg.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
  }

  #move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before || !this.page) return;
    if (this.pointers.size > 1) {
      this.#pinch(event, before);
    } else if (this.dragged || apart(event, before) > DRAG_PX) {
      this.dragged = true;
      const from = this.#point(before), to = this.#point(event);
      this.#see(moved(this.view, from.x - to.x, from.y - to.y, this.page));
    } else return;
    this.pointers.set(event.pointerId, event);
  }

  #pinch(event, before) {
    this.dragged = true;
    const other = [...this.pointers.values()].find((one) => one.pointerId !== event.pointerId);
    const clientX = (event.clientX + other.clientX) / 2, clientY = (event.clientY + other.clientY) / 2;
    const middle = { clientX, clientY };
    const factor = Math.max(1, apart(before, other)) / Math.max(1, apart(event, other));
    this.#see(zoomed(this.view, factor, this.#point(middle), this.page, this.#size()));
  }

  #up(event) {
    this.pointers.delete(event.pointerId);
  }

  /** Choose a line. A finger's click comes after the focus has moved to the picture. */
  #click(event) {
    if (this.dragged || this.pressed === null) return;
    const { x, y } = this.#point(event);
    this.onChoose(this.pressed, [x, y]);
  }
}
