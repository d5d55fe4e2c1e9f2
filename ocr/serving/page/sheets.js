// The pages that came, as a list of buttons: what state each is in, and which one is shown.

import { element } from "./dom.js";

/** Return a number with its noun. */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

export class SheetList {
  /**
   * @param list the <ol>.
   * @param actions onOpen(sheet), onAgain(sheet), onRemove(sheet).
   */
  constructor(list, actions) {
    Object.assign(this, { list, ...actions, items: new Map() });
  }

  /** Show sheets. Elements stay, so that the focus does. */
  show(sheets, shown) {
    for (const [sheet, item] of this.items) {
      if (sheets.includes(sheet)) continue;
      item.remove();
      this.items.delete(sheet);
    }
    sheets.forEach((sheet, at) => {
      if (!this.items.has(sheet)) this.items.set(sheet, this.#made(sheet));
      const item = this.items.get(sheet);
      if (this.list.children[at] !== item) this.list.insertBefore(item, this.list.children[at] ?? null);
      this.#fill(sheet, item, sheet === shown);
    });
  }

  #made(sheet) {
    const button = (className, action) =>
      element("button", { type: "button", className, onclick: () => action(sheet) });
    const open = button("open", this.onOpen);
    open.append(element("span", { className: "name" }), element("span", { className: "state" }));
    const again = button("again", this.onAgain), remove = button("remove", this.onRemove);
    again.textContent = "Again";
    remove.textContent = "×";
    return element("li", {}, open, again, remove);
  }

  #fill(sheet, item, isShown) {
    const [open, again, remove] = item.children, [name, state] = open.children;
    item.className = sheet.status;
    open.ariaDisabled = ["waiting", "reading"].includes(sheet.status) ? "true" : null;
    open.ariaCurrent = isShown ? "page" : null;
    again.hidden = sheet.status !== "failed";
    remove.hidden = sheet.status === "reading";
    again.ariaLabel = `Read ${sheet.name} again`;
    remove.ariaLabel = remove.title = `Remove ${sheet.name}`;
    name.textContent = sheet.name;
    state.textContent = stateOf(sheet);
  }
}

function stateOf(sheet) {
  if (sheet.status === "waiting") return "waits";
  if (sheet.status === "reading") return "is read …";
  if (sheet.status === "failed") return "could not be read";
  const done = sheet.lines.filter((line) => line.checked || line.leftOut).length;
  const checked = `${done} of ${counted(sheet.lines.length, "line")} checked`;
  return sheet.isUnsaved ? `${checked}, not in a file yet` : checked;
}
