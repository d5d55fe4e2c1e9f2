const items = [...document.querySelectorAll("article")];
const [filter, wrong, count] = ["filter", "wrong", "count"].map(id => document.getElementById(id));
function show() {
  const wanted = filter.value.toLowerCase();
  let shown = 0;
  for (const item of items) {
    item.hidden = !item.dataset.text.includes(wanted) || (wrong.checked && item.className === "right");
    shown += !item.hidden;
  }
  count.textContent = shown === items.length ? `${shown}` : `${shown} of ${items.length}`;
}
filter.addEventListener("input", show);
wrong.addEventListener("input", show);
