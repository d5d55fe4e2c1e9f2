// What of a page is seen: a view {x, y, width, height} in pixels of the page.

/** a view is at least so many pixels wide */
const LEAST_WIDTH = 40;

/** Return the smallest view that shows a whole page, in the shape of its frame; the page is in its middle. */
export function fitted(page, frame) {
  const scale = Math.max(page.width / frame.width, page.height / frame.height);
  const width = frame.width * scale, height = frame.height * scale;
  return { x: (page.width - width) / 2, y: (page.height - height) / 2, width, height };
}

/** Return a view that shows `factor` times as much, around a point that stays where it is. */
export function zoomed(view, factor, point, page, frame) {
  const whole = fitted(page, frame);
  const width = Math.min(Math.max(view.width * factor, LEAST_WIDTH), whole.width);
  const real = width / view.width;
  return kept({
    x: point.x - (point.x - view.x) * real,
    y: point.y - (point.y - view.y) * real,
    width,
    height: view.height * real,
  }, page);
}

/** Return a view that is moved by pixels of the page, but not off it. */
export function moved(view, dx, dy, page) {
  return kept({ ...view, x: view.x + dx, y: view.y + dy }, page);
}

/** Return a view that shows a box {left, top, right, bottom}, moved and widened no more than it must be. */
export function showing(view, box, page, frame) {
  const middle = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
  const shares = [(box.right - box.left) / view.width, (box.bottom - box.top) / view.height];
  const factor = Math.max(1, ...shares.map((share) => 1.05 * share));
  const wide = factor > 1 ? zoomed(view, factor, middle, page, frame) : view;
  return moved(wide, offset(box.left, box.right, wide.x, wide.width),
    offset(box.top, box.bottom, wide.y, wide.height), page);
}

/** Return how far a view moves along one side so that a part is seen. */
function offset(start, end, from, length) {
  if (start < from) return start - from;
  if (end > from + length) return Math.min(end - from - length, start - from);
  return 0;
}

/** Return a view that is moved back onto the page; one that is larger than the page has it in its middle. */
function kept(view, page) {
  return { ...view, x: held(view.x, view.width, page.width), y: held(view.y, view.height, page.height) };
}

function held(start, length, whole) {
  if (length >= whole) return (whole - length) / 2;
  return Math.min(Math.max(start, 0), whole - length);
}

/** Return the upright box around points [x, y]. */
export function boxOf(points) {
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  return { left: Math.min(...xs), top: Math.min(...ys), right: Math.max(...xs), bottom: Math.max(...ys) };
}

/** Return points as the attribute of a polygon. */
export function pointsOf(points) {
  return points.map((point) => point.join(",")).join(" ");
}

/** Return a line laid flat: its box, and the transformation that puts its start at 0,0 and levels it. */
export function flattened(line) {
  const [x, y] = line.baseline[0], [endX, endY] = line.baseline.at(-1);
  const angle = Math.atan2(endY - y, endX - x), length = Math.hypot(endX - x, endY - y);
  const heights = line.baseline.map(([px, py]) => (py - y) * Math.cos(angle) - (px - x) * Math.sin(angle));
  const top = Math.min(...heights) - line.above * 1.25, bottom = Math.max(...heights) + line.below * 1.25 + 2;
  const margin = (bottom - top) / 4;
  return {
    transform: `rotate(${(-angle * 180) / Math.PI}) translate(${-x} ${-y})`,
    box: { left: -margin, top, right: length + margin, bottom },
  };
}
