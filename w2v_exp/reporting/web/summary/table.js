/** The table of configurations: headings sort by their columns; rows highlight their runs in the charts. */

function sortTable(table, heading) {
  const body = table.tBodies[0];
  const column = [...heading.parentNode.children].indexOf(heading);
  const rising = heading.getAttribute("aria-sort") !== "ascending";
  const texts = [...body.rows].map((row) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim());
  const numeric = texts.every((text) => text === "" || Number.isFinite(Number(text)));
  const order = texts.map((_, i) => i).sort((a, b) => {
    if ((texts[a] === "") !== (texts[b] === "")) return texts[a] === "" ? 1 : -1; // unknown values are last
    const before = numeric ? Number(texts[a]) - Number(texts[b]) : texts[a].localeCompare(texts[b], "en", { numeric: true });
    return (rising ? before : -before) || a - b;
  });
  const rows = [...body.rows];
  body.append(...order.map((i) => rows[i]));
  for (const other of heading.parentNode.children) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
}

/**
 * Hide the columns of metrics that do not fit, the least important first, and list them below the table; the button there
 * shows all, and the table then scrolls.
 */
function fitColumns(table) {
  const holder = table.parentNode;
  const [note, all] = [byId("hidden-columns"), byId("all-columns")];
  const columns = [...table.tHead.rows[0].cells].map((heading, i) => ({ heading, i, priority: Number(heading.dataset.priority) }));
  const last = columns.filter((column) => column.priority > 0).sort((a, b) => b.priority - a.priority || b.i - a.i);
  const show = (column, shown) => {
    for (const row of table.rows) row.cells[column.i].hidden = !shown;
  };
  let isWhole = false;
  let width = -1;
  const fit = () => {
    if (holder.clientWidth === width) return;
    width = holder.clientWidth;
    for (const column of last) show(column, true);
    const hidden = [];
    for (const column of isWhole ? [] : last) {
      if (holder.scrollWidth <= holder.clientWidth) break;
      if (column.heading.hasAttribute("aria-sort")) continue;
      show(column, false);
      hidden.unshift(column.heading.textContent.trim());
    }
    note.hidden = hidden.length === 0;
    note.firstElementChild.textContent = `Columns hidden for lack of width: ${hidden.join(", ")}.`;
  };
  all.addEventListener("click", () => {
    [isWhole, width] = [true, -1];
    fit();
  });
  new ResizeObserver(fit).observe(holder);
  fit();
}

function startTable(table) {
  fitColumns(table);
  for (const button of table.tHead.querySelectorAll("button")) {
    button.addEventListener("click", () => sortTable(table, button.parentNode));
  }
  const rows = [...table.tBodies[0].rows].map((row) => ({ row, group: Number(row.dataset.group) }));
  for (const { row, group } of rows) {
    row.addEventListener("pointerenter", () => highlight(group));
    row.addEventListener("pointerleave", () => highlight(null));
    row.querySelector(".mark").addEventListener("click", () => {
      focus.marked = focus.marked === group ? null : group;
      for (const each of rows) each.row.querySelector(".mark").setAttribute("aria-pressed", String(each.group === focus.marked));
      highlight(focus.marked);
    });
  }
  focus.listeners.push((group) => {
    for (const each of rows) each.row.classList.toggle("over", each.group === group);
  });
}

function colourTable(table, colours) {
  for (const row of table.tBodies[0].rows) {
    row.querySelector(".mark").style.borderLeftColor = colours.of(Number(row.dataset.group));
  }
}
