// The row of buttons in the page: one for each file, one for all of them, and one that opens each table.
//
// A file is fetched from the Jupyter server where the server has it (also while the kernel is busy), else from the
// kernel in chunks. The first rows of a table come from the kernel too, and can be sorted and paged. Names and cells are
// hostile: they only ever become text, attribute values or parts of a percent-encoded path, never markup.

const VIEW = "application/vnd.jupyter.widget-view+json";
const PATIENCE_MS = 5000;
const PATIENCE_BETWEEN_CHUNKS_MS = 30000;
const ROWS_ON_A_PAGE = 20;

function serverBase() {
  const element = document.getElementById("jupyter-config-data");
  try {
    return element ? JSON.parse(element.textContent).baseUrl ?? null : null;
  } catch {
    return null;
  }
}

/** The URL under which the server has this very file, or null. */
async function serverUrl(offer) {
  const base = serverBase();
  if (!base || !offer.server_path) return null;
  const query = new URLSearchParams();
  const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1];
  if (xsrf) query.set("_xsrf", xsrf);
  // A file that was written again under its old name must not come from the browser's cache.
  query.set("t", String(Date.now()));
  const path = offer.server_path.split("/").map(encodeURIComponent).join("/");
  const url = `${base}files/${path}?${query}`;
  try {
    const head = await fetch(url, { method: "HEAD", cache: "no-store" });
    return head.ok && Number(head.headers.get("content-length")) === offer.size ? url : null;
  } catch {
    return null;
  }
}

/**
 * Fetch a file from the kernel, chunk by chunk.
 *
 * `wanted` is {file, mediaType}: the file's place in the row, or "all". `told` is {progress(percent), late()}; `late` is
 * called when no answer came for a while, and the answer is still waited for. The promise ends with {blob, leftOut} or
 * with an Error in plain words.
 */
function fromKernel(model, wanted, told, signal) {
  const request = `${Date.now()}-${Math.random()}`;
  const parts = [];
  let received = 0;
  let leftOut = [];
  let timer;
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      model.off("msg:custom", take);
      settle(value);
    };
    const ask = (patience) => {
      clearTimeout(timer);
      timer = setTimeout(told.late, patience);
      try {
        model.send({ type: "get", request, file: wanted.file, offset: received });
      } catch {
        end(reject, new Error("The kernel that made this is gone."));
      }
    };
    const take = (message, buffers) => {
      if (message.request !== request) return;
      // Another way has brought it.
      if (message.type === "delivered") return end(resolve, { blob: null, leftOut: [] });
      if (message.type === "error") return end(reject, new Error(`Not downloaded: ${message.message}.`));
      if (message.offset !== received) return;
      const chunk = buffers[0];
      if (received === 0) leftOut = message.left_out;
      parts.push(chunk);
      received += chunk.byteLength;
      if (received >= message.total) {
        return end(resolve, { blob: new Blob(parts, { type: wanted.mediaType }), leftOut });
      }
      if (chunk.byteLength === 0) return end(reject, new Error("Not downloaded: the file became shorter meanwhile."));
      told.progress(Math.floor((100 * received) / message.total));
      ask(PATIENCE_BETWEEN_CHUNKS_MS);
    };
    signal.addEventListener("abort", () => end(reject, new Error("")));
    model.on("msg:custom", take);
    ask(PATIENCE_MS);
  });
}

function save(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

function saveBlob(blob, name) {
  if (!blob) return;
  const url = URL.createObjectURL(blob);
  save(url, name);
  // The browser reads it after the click has returned, and nothing says when it is done.
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

function makeButton(label, description, symbol = "download") {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "jupyter-widgets jupyter-button widget-button";
  button.style.cssText = "width:auto;max-width:min(100%, 22em)";
  button.title = description;
  button.setAttribute("aria-label", description);
  const icon = document.createElement("i");
  icon.className = `fa fa-${symbol}`;
  icon.setAttribute("aria-hidden", "true");
  icon.style.marginRight = "6px";
  button.append(icon, label);
  return button;
}

/** The first rows of a table: {columns, rows, whole, size}; an Error in plain words where the kernel does not give them. */
function rowsFromKernel(model, file) {
  const request = `${Date.now()}-${Math.random()}`;
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      model.off("msg:custom", take);
      settle(value);
    };
    const take = (message) => {
      if (message.request !== request) return;
      if (message.type === "rows") end(resolve, message);
      else end(reject, new Error(`The rows are not shown: ${message.message}.`));
    };
    const late = () => end(reject, new Error("The kernel has not answered: it is busy, or it was restarted."));
    const timer = setTimeout(late, PATIENCE_MS);
    model.on("msg:custom", take);
    try {
      model.send({ type: "rows", request, file });
    } catch {
      end(reject, new Error("The kernel that made this is gone."));
    }
  });
}

function element(name, properties, style, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.style.cssText = style;
  made.append(...children);
  return made;
}

/** Numbers by their value, before texts; missing cells last, in either direction. */
function compare(one, other, direction) {
  if (one === null || other === null) return (one === null) - (other === null);
  const numbers = [one, other].map((cell) => (cell.trim() === "" ? NaN : Number(cell)));
  const [left, right] = numbers.map(Number.isNaN);
  if (!left && !right) return direction * (numbers[0] - numbers[1]);
  return direction * (left === right ? one.localeCompare(other) : left - right);
}

/** A table of pages; a click on a heading sorts by it, upwards, downwards, then as in the file. */
function pagedTable({ columns, rows, whole, size }, name) {
  const plain = "border:0;padding:0;background:none;color:inherit;font:inherit;cursor:pointer";
  let [page, sorted, direction] = [0, -1, 0];
  const body = element("tbody", {}, "");
  const headings = columns.map((column, place) => {
    const button = element("button", { type: "button", title: `Sort by ${column}` }, plain, column);
    button.addEventListener("click", () => {
      direction = sorted === place ? { 1: -1, "-1": 0, 0: 1 }[direction] : 1;
      [page, sorted] = [0, place];
      draw();
    });
    return element("th", { scope: "col" }, "", button);
  });
  const where = element("span", { role: "status" }, "margin:0 8px");
  const turn = (label, step) => {
    const button = element("button", { type: "button", className: "jupyter-button" }, "", label);
    button.addEventListener("click", () => {
      page += step;
      draw();
    });
    return button;
  };
  const [before, after] = [turn("Previous rows", -1), turn("Next rows", 1)];
  function draw() {
    const order = rows.map((row, place) => [place, row]);
    if (direction) order.sort(([, one], [, other]) => compare(one[sorted], other[sorted], direction));
    const first = page * ROWS_ON_A_PAGE;
    const shown = order.slice(first, first + ROWS_ON_A_PAGE);
    body.replaceChildren(
      ...shown.map(([place, row]) =>
        element(
          "tr", {}, "",
          element("th", { scope: "row" }, "", String(place)),
          ...row.map((cell) => element("td", {}, "", cell ?? "NaN")),
        ),
      ),
    );
    headings.forEach((heading, place) => {
      const now = place === sorted ? direction : 0;
      heading.setAttribute("aria-sort", now ? (now > 0 ? "ascending" : "descending") : "none");
      heading.firstChild.textContent = columns[place] + (now ? (now > 0 ? " ▲" : " ▼") : "");
    });
    const of = whole ? size : `the first ${rows.length.toLocaleString("en")} of ${size}`;
    where.textContent = `${shown.length ? first + 1 : 0} to ${first + shown.length} of ${of}`;
    before.disabled = page === 0;
    after.disabled = first + ROWS_ON_A_PAGE >= rows.length;
  }
  draw();
  const head = element("thead", {}, "", element("tr", {}, "text-align:right", document.createElement("td"), ...headings));
  const table = element("table", { className: "dataframe", border: 1, ariaLabel: `Rows of ${name}` }, "margin-left:0", head, body);
  const scrolled = element("div", { className: "jp-RenderedHTMLCommon", tabIndex: 0 }, "overflow-x:auto;padding:0", table);
  return element("div", {}, "flex-basis:100%", scrolled, before, where, after);
}

/** The cells of the JupyterLab notebook that shows this row; null elsewhere. */
function cellsOf(model) {
  const cells = model.widget_manager?.context?.model?.cells;
  return typeof cells?.get === "function" ? cells : null;
}

/** Whether what JupyterLab saves of an output can be another than what it shows. */
function canKeepOut(model) {
  const cells = cellsOf(model);
  return Boolean(cells) && Array.from(cells).every((cell) => cell.type !== "code" || cell.sharedModel?.updateOutputs);
}

/**
 * Put an empty view into what is saved of this row's output. A saved row could only be drawn by its kernel; an empty
 * view is drawn by none, and JupyterLab hides it. What is saved is the shared model; one that is changed "silently"
 * leaves the page as it is.
 */
function keepOut(model) {
  for (const cell of cellsOf(model) ?? []) {
    if (cell.type !== "code") continue;
    for (let place = 0; place < cell.outputs.length; place++) {
      const output = cell.outputs.get(place);
      if (output.data[VIEW]?.model_id !== model.get("row_id")) continue;
      const saved = output.toJSON();
      saved.data = { [VIEW]: { ...saved.data[VIEW], model_id: "" } };
      cell.sharedModel.updateOutputs(place, place + 1, [saved], "silent-change");
    }
  }
}

function initialize({ model }) {
  model.send({ type: "ready", keeps_out: canKeepOut(model) });
}

function render({ model, el }) {
  if (canKeepOut(model)) keepOut(model);
  const offers = model.get("offers");
  const row = document.createElement("div");
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Download files");
  row.style.cssText = "display:flex;flex-wrap:wrap;align-items:center;gap:2px";
  const status = document.createElement("span");
  status.setAttribute("role", "status");
  status.style.cssText = "margin-left:8px;opacity:.7";

  /** A button whose click runs `fetchIt(told, signal)`; `where` says in words where the files are all the same. */
  const add = (label, description, where, fetchIt) => {
    const button = makeButton(label, description);
    let running = new AbortController();
    button.addEventListener("click", async () => {
      // One that has waited in vain is given up for the new one.
      running.abort();
      const mine = (running = new AbortController());
      const told = {
        progress: (percent) => (status.textContent = `${label}: ${percent} %`),
        late: () => {
          status.textContent = `The kernel has not answered yet: it is busy, or it was restarted. ${where}`;
          button.disabled = false;
        },
      };
      status.textContent = "";
      button.disabled = true;
      let words;
      try {
        words = await fetchIt(told, mine.signal);
      } catch (error) {
        words = `${error.message} ${where}`;
      }
      if (mine.signal.aborted) return;
      status.textContent = words;
      button.disabled = false;
    });
    row.append(button);
  };

  offers.forEach((offer, place) => {
    const description = `Download ${offer.label}, ${offer.size_in_words}`;
    add(offer.label, description, `The file is saved as ${offer.saved_as}`, async (told, signal) => {
      const url = await serverUrl(offer);
      if (url) {
        save(url, offer.name);
      } else {
        const wanted = { file: place, mediaType: offer.media_type };
        saveBlob((await fromKernel(model, wanted, told, signal)).blob, offer.name);
      }
      return "";
    });
  });

  const count = model.get("file_count");
  if (count > 1) {
    const description = `Download all ${count} files as a zip archive`;
    const where = `The files are saved as ${offers.map((offer) => offer.saved_as).join(", ")}`;
    add("Download all (.zip)", description, where, async (told, signal) => {
      const { blob, leftOut } = await fromKernel(model, { file: "all", mediaType: "application/zip" }, told, signal);
      saveBlob(blob, model.get("archive"));
      return leftOut.length ? `Without ${leftOut.join(", ")}: no longer there.` : "";
    });
  }

  offers.forEach((offer, place) => {
    if (!offer.has_rows) return;
    const button = makeButton(`Rows of ${offer.label}`, `Sort and page the rows of ${offer.label}`, "table");
    button.setAttribute("aria-expanded", "false");
    let shown = null;
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        if (shown) shown = shown.remove() ?? null;
        else row.append((shown = pagedTable(await rowsFromKernel(model, place), offer.label)));
        status.textContent = "";
      } catch (error) {
        status.textContent = error.message;
      }
      button.setAttribute("aria-expanded", String(Boolean(shown)));
      button.disabled = false;
    });
    row.append(button);
  });

  row.append(status);
  if (model.get("note")) {
    const note = document.createElement("span");
    note.textContent = model.get("note");
    note.style.cssText = "flex-basis:100%;opacity:.7;padding:.2em 2px .6em";
    row.append(note);
  }
  el.append(row);
}

export default { initialize, render };
