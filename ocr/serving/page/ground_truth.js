// Files of pages that were corrected: each is written by the server, and pictures are laid beside their XML.

import { correctedPage, isTruth } from "./document.js";
import { stemOf } from "./download.js";
import { zipOf } from "./zip.js";

/** images that training reads as they are */
const KNOWN_IMAGES = /\.(png|jpe?g|webp|tiff?|bmp|jp2|avif)$/i;

/** Return names for pages that every system takes, each other than those before also without case. */
export function stemsOf(pages) {
  const taken = new Set();
  return pages.map((page) => {
    const digits = String(page.total).length, number = String(page.number + 1).padStart(digits, "0");
    const stem = plain(stemOf(page.file.name)), wanted = page.total > 1 ? `${stem}-${number}` : stem;
    let name = wanted;
    for (let count = 2; taken.has(name.toLowerCase()); count++) name = `${wanted}_${count}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** Return a name that no system refuses or hides. */
function plain(name) {
  return name.replace(/[\\/:*?"<>|\p{C}]/gu, "_").replace(/^[. ]+|[. ]+$/g, "").slice(0, 100) || "page";
}

/** Return the image of a page, {name, content}: the file if it is an image, or the picture of the server. */
export function imageOf(page, stem) {
  const ending = page.total === 1 && KNOWN_IMAGES.exec(page.file.name)?.[0];
  if (ending) return { name: stem + ending, content: page.file };
  return { name: `${stem}.${page.picture.type === "image/png" ? "png" : "jpg"}`, content: page.picture };
}

/**
 * Return an archive of images with their PAGE or ALTO, as `ocr train` reads it.
 *
 * @param pages each has file (a File), number and total (of pages in it), picture (a Blob), answer and lines.
 * @param format "page" or "alto".
 * @param onlyChecked lines that nobody has checked are written without text.
 * @param write asks the server for a file: write({response_format, file_name, pages}) gives a Blob.
 * @param tell is called with how many pages are done.
 */
export async function groundTruth(pages, format, onlyChecked, write, tell) {
  const files = [], stems = stemsOf(pages);
  for (const [at, page] of pages.entries()) {
    const image = imageOf(page, stems[at]);
    const described = correctedPage(page.answer, page.lines, isTruth(onlyChecked));
    const xml = await write({ response_format: format, file_name: image.name, pages: [described] });
    files.push(image, { name: `${stems[at]}.${format}.xml`, content: xml });
    tell(at + 1);
  }
  return zipOf(files);
}
