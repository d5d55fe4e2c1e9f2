// Files that are read page after page: the answer to the first page says how many there are.

/** A page of a file, from its arrival to its corrections. */
export class Sheet {
  /**
   * @param file the File.
   * @param number of the page, counted from 0.
   * @param total pages of the file, as far as it is known.
   */
  constructor(file, number = 0, total = 1) {
    Object.assign(this, { file, number, total, status: "waiting", error: "", answer: null, picture: null });
    Object.assign(this, { history: null, saved: null });
  }

  get name() {
    return this.total > 1 ? `${this.file.name}, page ${this.number + 1}` : this.file.name;
  }

  /** The state of the lines that is now. */
  get lines() {
    return this.history?.now ?? [];
  }

  get isRead() {
    return this.status === "read";
  }

  /** Whether there are corrections that no file holds yet. */
  get isUnsaved() {
    return this.isRead && this.lines !== this.saved;
  }
}

/** Return the content of a data: address in base64 as a Blob. */
export function blobOf(address) {
  const [head, data] = address.split(",", 2);
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: /^data:([^;]*)/.exec(head)[1] });
}

/** Return what is asked for a page. */
export function formOf(sheet) {
  const form = new FormData();
  form.append("file", sheet.file, sheet.file.name);
  form.append("pages", String(sheet.number));
  form.append("include[]", "picture");
  return form;
}
