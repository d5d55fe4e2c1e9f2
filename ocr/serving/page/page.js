// The page of `ocr serve`: images come in, are read, corrected, and go out as ground truth.

import { changed, correctedPage, History, isTruth, linesOf } from "./document.js";
import { byId } from "./dom.js";
import { download, stemOf } from "./download.js";
import { groundTruth, imageOf, stemsOf } from "./ground_truth.js";
import { takeFiles } from "./intake.js";
import { Lines, lookOf } from "./lines.js";
import { clearError, say, showError } from "./messages.js";
import { blobOf, formOf, Sheet } from "./reading.js";
import { send } from "./request.js";
import { counted, SheetList } from "./sheets.js";
import { Viewer } from "./viewer.js";

const ENDINGS = { page: "page.xml", alto: "alto.xml", hocr: "hocr.html", text: "txt", pdf: "pdf" };
/** formats of which a file holds all pages */
const WHOLE_FILE = ["text", "pdf"];
/** formats that training reads: what is in such a file is not lost any more */
const KEPT = ["page", "alto"];

/** pages that are read at a time, once one is shown: while one is recognised, lines of the other are found */
const AT_A_TIME = 2;
const isWaiting = (sheet) => sheet.status === "waiting";

let sheets = [], shown = null;

const viewer = new Viewer(
  byId("picture"), (at) => mark(at, true), (at, point) => lines.edit(at, wordNear(at, point)),
);
const lines = new Lines(byId("lines"), {
  onHover: (at) => mark(at, false),
  onFocus: (at) => {
    mark(at, false);
    viewer.reveal(at);
  },
  onWord: (at, number) => viewer.markWord(shown.answer.lines[at].words[number]?.box),
  onChange: (at, values) => {
    shown.history.add(changed(shown.lines, at, values));
    refresh();
  },
});

const list = new SheetList(byId("pages"), { onOpen: open, onAgain: again, onRemove: remove });

// --- reading

/** Take files, and read them. */
function add(files) {
  clearError();
  sheets.push(...files.map((file) => new Sheet(file)));
  readOthers();
}

/** Read the next pages that wait, as long as there are not too many on the way. */
function readOthers() {
  while (sheets.filter((sheet) => sheet.status === "reading").length < (shown ? AT_A_TIME : 1)) {
    const sheet = sheets.find(isWaiting);
    if (!sheet) break;
    sheet.status = "reading";
    read(sheet).then(readOthers);
  }
  listSheets();
}

async function read(sheet) {
  try {
    take(sheet, await send("v1/ocr/transcriptions", { body: formOf(sheet), name: sheet.name }));
  } catch (error) {
    Object.assign(sheet, { status: "failed", error: error.message });
    showError(error.message);
  }
}

/** Take the answer to a page; the first page of a file brings the others into the list. */
function take(sheet, answer) {
  const [page] = answer.pages;
  sheet.picture = blobOf(page.picture);
  Object.assign(sheet, { answer: page, history: new History(linesOf(page)), status: "read" });
  sheet.saved = sheet.lines;
  if (sheet.total < answer.page_count) {
    sheet.total = answer.page_count;
    const next = (_, at) => new Sheet(sheet.file, at + 1, sheet.total);
    const others = Array.from({ length: sheet.total - 1 }, next);
    sheets.splice(sheets.indexOf(sheet) + 1, 0, ...others);
  }
  say(`${sheet.name}: ${counted(page.lines.length, "line")}`);
  if (!shown) open(sheet);
}

// --- the list of pages

function listSheets() {
  list.show(sheets, shown);
  byId("sheets").hidden = !sheets.length;
  byId("stop").hidden = sheets.filter(isWaiting).length < 2;
  byId("downloads").hidden = !sheets.some((sheet) => sheet.isRead);
  const unsaved = sheets.filter((sheet) => sheet.isUnsaved).length;
  const said = `Corrections of ${counted(unsaved, "page")} are in no file yet.`;
  byId("unsaved").textContent = unsaved ? said : "";
}

function again(sheet) {
  Object.assign(sheet, { status: "waiting", error: "" });
  readOthers();
}

function remove(sheet) {
  const question = `${sheet.name} has corrections that are in no file yet. Remove it all the same?`;
  if (sheet.isUnsaved && !confirm(question)) return;
  const at = sheets.indexOf(sheet);
  sheets = sheets.filter((other) => other !== sheet);
  if (sheet === shown) {
    close();
    const next = [...sheets.slice(at), ...sheets.slice(0, at).reverse()].find((other) => other.isRead);
    if (next) open(next);
  }
  listSheets();
}

// --- the page that is shown

function open(sheet) {
  if (sheet.error) showError(sheet.error);
  if (!sheet.isRead) return;
  close();
  shown = sheet;
  sheet.address = URL.createObjectURL(sheet.picture);
  byId("sheet").hidden = false; // before it is drawn, so that it has a size
  viewer.show(sheet.answer, sheet.address);
  lines.show(sheet.answer, sheet.lines, sheet.address);
  byId("nothing").hidden = sheet.lines.length > 0;
  refresh();
}

function close() {
  if (!shown) return;
  lines.leave();
  URL.revokeObjectURL(shown.address);
  shown = null;
  byId("sheet").hidden = true;
}

/** Show the state that is now. */
function refresh() {
  lines.update(shown.lines);
  shown.lines.forEach((line, at) => viewer.dress(at, lookOf(line, shown.answer.lines[at])));
  byId("undo").disabled = !shown.history.canUndo;
  byId("redo").disabled = !shown.history.canRedo;
  byId("title").textContent = shown.name;
  listSheets();
}

function mark(at, scrolls) {
  viewer.mark(at);
  lines.mark(at, scrolls);
}

/** Return the number of the word whose box holds a point of the page, or is the nearest. */
function wordNear(at, [x, y]) {
  const distances = shown.answer.lines[at].words.map(({ box: [left, top, right, bottom] }) =>
    Math.hypot(Math.max(left - x, 0, x - right), Math.max(top - y, 0, y - bottom)));
  return Math.max(0, distances.indexOf(Math.min(...distances)));
}

function step(name) {
  if (!shown || lines.editing) return;
  const before = shown.lines;
  shown.history[name]();
  refresh();
  const at = shown.lines.findIndex((line, index) => line !== before[index]);
  if (at >= 0) mark(at, true);
}

// --- downloads

/** Ask the server for pages in a format, as a Blob. */
function written(body) {
  return send("v1/ocr/corrections", { body: JSON.stringify(body), as: "blob", name: body.file_name });
}

/** Download all pages that were read, with their images. */
async function saveTruth(format) {
  const read = sheets.filter((sheet) => sheet.isRead), states = read.map((sheet) => sheet.lines);
  const archive = await groundTruth(read, format, byId("only-checked").checked, written,
    (done) => say(`${done} of ${counted(read.length, "page")}`));
  download(`ground-truth-${format}.zip`, archive);
  read.forEach((sheet, at) => (sheet.saved = states[at]));
  tell("Unpack the archive into a folder; ocr train reads that folder.");
  listSheets();
}

/** Download the page that is shown, or its whole file. */
async function saveOne(format) {
  const isWhole = WHOLE_FILE.includes(format), sheet = shown, state = sheet.lines;
  const parts = isWhole ? sheets.filter((other) => other.isRead && other.file === sheet.file) : [sheet];
  const keeps = KEPT.includes(format) ? isTruth(false) : () => true;
  const [stem] = isWhole ? [stemOf(sheet.file.name)] : stemsOf([sheet]), image = imageOf(sheet, stem).name;
  const body = {
    response_format: format,
    file_name: isWhole ? sheet.file.name : image,
    pages: parts.map((one) => correctedPage(one.answer, one.lines, keeps)),
  };
  if (format === "pdf") body.document = { document_url: await addressOf(sheet.file) };
  download(`${stem}.${ENDINGS[format]}`, await written(body));
  if (KEPT.includes(format)) {
    sheet.saved = state;
    tell(`The file names its image; put ${image} into the same folder.`);
  }
  listSheets();
}

/** Return a file as a data: address. */
function addressOf(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new Error(`${file.name}: cannot be read any more; choose it again`));
    reader.readAsDataURL(file);
  });
}

/** Say what is to be done with a download. */
function tell(sentence) {
  byId("saved").textContent = sentence;
  say(sentence);
}

/** Do what a button says; it is disabled meanwhile, and what goes wrong is said. */
async function pressed(button, action) {
  button.disabled = true;
  clearError();
  try {
    await action();
  } catch (error) {
    showError(error.message);
  }
  button.disabled = false;
}

// --- events

takeFiles(byId("drop"), byId("files"), add);
byId("camera").addEventListener("change", ({ target }) => {
  add([...target.files]);
  target.value = "";
});
const CLICKS = {
  closer: () => viewer.zoom(0.8),
  farther: () => viewer.zoom(1.25),
  whole: () => viewer.fit(),
  undo: () => step("undo"),
  redo: () => step("redo"),
  stop: () => {
    sheets = sheets.filter((sheet) => !isWaiting(sheet));
    listSheets();
  },
};
for (const [name, action] of Object.entries(CLICKS)) byId(name).addEventListener("click", action);
for (const button of document.querySelectorAll("[data-truth]")) {
  button.addEventListener("click", () => pressed(button, () => saveTruth(button.dataset.truth)));
}
for (const button of document.querySelectorAll("[data-format]")) {
  button.addEventListener("click", () => pressed(button, () => saveOne(button.dataset.format)));
}
document.addEventListener("keydown", (event) => {
  const isControl = (event.ctrlKey || event.metaKey) && !event.altKey;
  const name = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[event.key.toLowerCase()];
  if (!isControl || !name || event.target.matches("input, textarea")) return;
  event.preventDefault();
  step(name);
});
addEventListener("beforeunload", (event) => {
  lines.leave();
  if (sheets.some((sheet) => sheet.isUnsaved)) event.preventDefault();
});
