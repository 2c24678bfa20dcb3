/** The page of a running sweep loads itself again; sorting, choices and opened parts stay as they are. */

const running = byId("running");
const fields = () => [...document.querySelectorAll("select[id], input[type=checkbox][id]")];
const valueOf = (field) => (field.type === "checkbox" ? field.checked : field.value);

/** Return what a reader has chosen on the page. */
function choices() {
  const sorted = document.querySelector("th[aria-sort]");
  return {
    fields: Object.fromEntries(fields().map((field) => [field.id, valueOf(field)])),
    open: [...document.querySelectorAll("details")].map((details) => details.open),
    sort: sorted ? [sorted.innerText, sorted.getAttribute("aria-sort")] : null,
  };
}

/** Choose the same again; options and columns that are no longer there are skipped. */
function choose({ fields: values, open, sort }) {
  for (const field of fields()) {
    const value = values[field.id];
    if (value === undefined || value === valueOf(field)) continue;
    if (field.type === "checkbox") field.checked = value;
    else if ([...field.options].some((option) => option.value === value)) field.value = value;
    field.dispatchEvent(new Event("change"));
  }
  document.querySelectorAll("details").forEach((details, i) => {
    if (open[i] !== undefined) details.open = open[i];
  });
  const heading = sort && [...document.querySelectorAll("th")].find((th) => th.querySelector("button") && th.innerText === sort[0]);
  for (let i = 0; heading && i < 2 && heading.getAttribute("aria-sort") !== sort[1]; i += 1) sortTable(table, heading);
}

if (running) {
  const key = `w2v_exp ${location.pathname}`;
  let touched = -Infinity;
  let storage = null;
  try {
    storage = sessionStorage; // forbidden in some viewers
    const kept = storage.getItem(key);
    if (kept) choose(JSON.parse(kept));
  } catch {
    // The page then begins as it was written.
  }
  for (const name of ["pointermove", "pointerdown", "keydown", "wheel"]) {
    addEventListener(name, () => { touched = performance.now(); }, { passive: true });
  }
  // Not while the page is in use or hidden: loading it would hide tooltips and end a selection.
  setInterval(() => {
    if (document.hidden || performance.now() - touched < 2000) return;
    try {
      storage?.setItem(key, JSON.stringify(choices()));
    } catch {
      // A full or forbidden storage: the choices are lost.
    }
    location.reload();
  }, 1000 * Number(running.dataset.reload));
}
