"use strict";
// Every page is whole without this: it adds searching, copying, and pointing at cells.
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// An alias leads on, with whatever clause the address names.
const lead = one("[data-lead]");
if (lead) location.replace(lead.getAttribute("href") + location.hash);

// A cell shows what it is made of and what decided it, and an input where it goes.
for (const picture of all("figure.picture svg")) {
  const says = one(".says", picture.closest("figure")), rest = says ? says.textContent : "";
  const cells = new Map(all("g[id]", picture).map((cell) => [cell.id, cell]));
  const goes = new Map();
  const listed = (cell, name) => (cell.getAttribute(name) || "").split(" ").filter(Boolean);
  for (const cell of cells.values()) for (const id of listed(cell, "data-f")) goes.set(id, [...(goes.get(id) || []), cell.id]);
  const clear = () => {
    picture.classList.remove("hot");
    for (const cell of cells.values()) cell.classList.remove("lit", "decides");
    if (says) says.textContent = rest;
  };
  const light = (cell) => {
    clear();
    picture.classList.add("hot");
    cell.classList.add("lit");
    for (const id of [...listed(cell, "data-f"), ...(goes.get(cell.id) || [])]) cells.get(id)?.classList.add("lit");
    for (const id of listed(cell, "data-d")) cells.get(id)?.classList.add("decides");
    if (says) says.textContent = one("title", cell).textContent;
  };
  picture.addEventListener("pointerover", (event) => { const cell = event.target.closest("g[id]"); if (cell) light(cell); });
  picture.addEventListener("pointerleave", clear);
  picture.addEventListener("blur", clear);
  picture.setAttribute("tabindex", "0");
  const order = [...cells.keys()];
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") clear();
    if (!step) return;
    event.preventDefault();
    const now = order.indexOf(one("g.lit", picture)?.id), at = picture.dataset.at ? Number(picture.dataset.at) : now;
    const next = (at + step + order.length) % order.length;
    picture.dataset.at = next;
    light(cells.get(order[next]));
  });
}

// What can be copied has a button for it; a digest copies the citation of its clause.
const copied = (button, text) => navigator.clipboard.writeText(text).then(() => {
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
});
for (const block of all("pre[data-copy]")) {
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
  const text = block.textContent;
  button.addEventListener("click", () => copied(button, text));
  const holder = Object.assign(document.createElement("div"), { className: "copy" });
  block.replaceWith(holder);
  holder.append(block, button);
}
const article = one("article[data-op]");
for (const digest of all("code[data-cite]")) {
  const { op, spec, base } = article.dataset, clause = digest.dataset.cite;
  const words = `${op}/${clause}, einspec spec ${spec} [${digest.textContent}]` + (base ? `. ${base}/${op}.html#${clause}` : "");
  const button = Object.assign(document.createElement("button"), { type: "button", className: "cite", textContent: "cite", title: words });
  button.addEventListener("click", () => copied(button, words));
  digest.after(" ", button);
}

// The search looks through names, calls elsewhere, who differs, and summaries, and says which it was.
const field = one("#q");
if (field) {
  one("#find").hidden = false;
  const plain = (text) => text.toLowerCase().replace(/[-_]/g, " ");
  const items = all(".gallery li").map((item) => ({ item, words: item.dataset.words.split("|") }));
  const families = all(".family");
  const hits = one("#hits");
  const ranked = (words, wanted) => {
    const found = words.findIndex((text) => wanted.every((w) => plain(text).includes(w)));
    if (found >= 0) return [words[found].startsWith("≠") ? 2 : words[found].startsWith("=") ? 1 : found === 0 ? 0 : 1, words[found]];
    const everything = plain(words.join(" "));
    return wanted.every((w) => everything.includes(w)) ? [3, ""] : null;
  };
  const find = () => {
    const wanted = plain(field.value).split(/[\s,()]+/).filter(Boolean);
    let same = 0, other = 0;
    for (const { item, words } of items) {
      const hit = wanted.length ? ranked(words, wanted) : [0, ""];
      item.hidden = !hit;
      one(".why", item)?.remove();
      if (!hit || !wanted.length) continue;
      const [rank, text] = hit;
      item.dataset.rank = rank;
      rank === 2 ? other++ : same++;
      if (text && plain(text) !== plain(words[0])) {
        const kind = text[0] === "=" ? "same" : text[0] === "≠" ? "other" : "";
        const shown = kind === "same" ? `the same: ${text.slice(1)}` : kind === "other" ? `not the same: ${text.slice(1)}` : text;
        one("a", item).append(Object.assign(document.createElement("span"), { className: `why ${kind}`, textContent: shown }));
      }
    }
    for (const family of families) family.hidden = !one("li:not([hidden])", family);
    hits.textContent = !wanted.length ? "" : same + other === 0 ? "No op: try a shorter name, or a word for what it does."
      : `${same} of ${items.length} ops` + (other ? `, and ${other} of which something of that name is not the same` : "");
  };
  field.addEventListener("input", find);
  one("#find").addEventListener("submit", (event) => {
    event.preventDefault();
    const best = all(".gallery li:not([hidden])").sort((a, b) => (a.dataset.rank || 0) - (b.dataset.rank || 0))[0];
    if (best) location.href = one("a", best).href;
  });
  field.value = new URLSearchParams(location.search).get("q") || "";
  find();
}
