// Files that are dropped, pasted or chosen.

/**
 * Hand files over as they come.
 * @param {HTMLElement} zone is marked while files are held over the page; they may be dropped anywhere
 * @param {HTMLInputElement} input of type "file"
 * @param {function(File[])} onFiles
 */
export function takeFiles(zone, input, onFiles) {
  const give = (files) => { if (files.length) onFiles([...files]); };
  const mark = (over) => zone.classList.toggle("over", over);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    mark(true);
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  document.addEventListener("drop", (event) => {
    mark(false);
    if (!hasFiles(event)) return;
    event.preventDefault();
    give(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    give(event.clipboardData.files);
  });
  input.addEventListener("change", () => {
    give(input.files);
    input.value = "";  // the same file may be chosen again
  });
}
