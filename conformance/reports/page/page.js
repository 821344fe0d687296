"use strict";
// The matrix from the numbers in #data. Texts reach the page as text nodes only, so nothing in a report can become markup.
const report = JSON.parse(document.getElementById("data").textContent);
const { strings, verdicts, tiers, dtypes, witnesses, columns } = report;
const WORST = ["errored", "wrong", "known", "refused", "holds", "unsupported", "not run"];
const MARKS = { holds: "✓", wrong: "wrong", errored: "errored", refused: "refused", unsupported: "unsupported", known: "known", "not run": "not run" };
const GROUPS = [
  ["Definition", "the formula on small, drawn and large inputs", /^(def|empty|nan|agree)$/],
  ["Dtypes", "the same values in every dtype, bit for bit", /^(dtype|index)\./],
  ["Conduct", "inputs, devices and global state kept, results repeated", /^(pure|repeat|device|state)$/],
  ["Memory layouts", "the same values in other memory", /^layout\./],
  ["Errors", "calls that must be rejected", /^err\./],
  ["Laws", "what the card promises beside the formula", /^law\./],
  ["Gradients and transforms", "against the derived gradient, and compiled against eager", /^(grad|transform)\./],
  ["Others", "", /./],
];
const $ = (id) => document.getElementById(id);
const text = (i) => (i < 0 ? "" : strings[i]);
const number = (n) => n.toLocaleString("en");
const cls = (verdict) => verdict.replace(" ", "-");
const kindOf = (device) => device.split(":")[0];

function el(tag, properties, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(properties || {})) {
    if (key in node && typeof value !== "string") node[key] = value;
    else node.setAttribute(key === "className" ? "class" : key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// ops, and by column and op the clauses
const ops = report.ops.map(([name, family, summary, aliases, forms]) => ({ name, family, summary, aliases, forms,
  words: [name, family, summary, aliases].join(" ").toLowerCase() }));
const cells = columns.map(({ flat }) => {
  const found = new Map();
  for (let at = 0; at < flat.length;) {
    const op = flat[at], count = flat[at + 1], list = [];
    for (at += 2; list.length < count; at += 6) {
      list.push({ kind: flat[at], tier: flat[at + 1], verdict: verdicts[flat[at + 2]], inputs: flat[at + 3], reason: flat[at + 4], witness: flat[at + 5] });
    }
    found.set(op, list);
  }
  return found;
});
const dtypeOf = strings.map((s) => (/^(dtype|index)\./.test(s) ? s.slice(s.indexOf(".") + 1) : ""));

// filters
const chosen = { verdicts: new Set(), words: [], family: "", backend: "", device: "", dtype: "", tier: "" };

function matcher() {
  const lists = chosen.words.map((word) => {
    const [left, right] = word.split("/");
    return {
      op: ops.map((op) => op.words.includes(word)),
      string: strings.map((s) => s.toLowerCase().includes(word)),
      exact: right === undefined ? null : [ops.map((op) => op.name.endsWith(left)), strings.map((s) => s.toLowerCase().startsWith(right))],
    };
  });
  return (op, clause) => {
    if (chosen.verdicts.size && !chosen.verdicts.has(clause.verdict)) return false;
    if (chosen.dtype && dtypeOf[clause.kind] !== chosen.dtype) return false;
    if (chosen.tier && tiers[clause.tier] !== chosen.tier) return false;
    return lists.every((list) => list.op[op] || list.string[clause.kind] || (clause.reason >= 0 && list.string[clause.reason])
      || (list.exact !== null && list.exact[0][op] && list.exact[1][clause.kind]));
  };
}

function shownColumns() {
  return columns.map((column, i) => i).filter((i) => (!chosen.backend || columns[i].name === chosen.backend)
    && (!chosen.device || columns[i].device === chosen.device || kindOf(columns[i].device) === chosen.device));
}

function tally(list) {
  const counts = {};
  for (const { verdict } of list) counts[verdict] = (counts[verdict] || 0) + 1;
  return counts;
}

const worstOf = (counts) => WORST.find((verdict) => counts[verdict]);

function hash(...parts) {
  return "#" + parts.map(encodeURIComponent).join("/");
}

function dots(list) {
  const by = {};
  for (const clause of list) {
    const dtype = dtypeOf[clause.kind];
    if (dtype) (by[dtype] = by[dtype] || []).push(clause);
  }
  if (!Object.keys(by).length) return [null, ""];
  const tones = { holds: "--dot-holds", wrong: "--wrong", errored: "--errored", known: "--known", refused: "--dot-soft", unsupported: "--unsupported", "not run": "--dot-none" };
  const stops = [], said = [];
  dtypes.forEach((dtype, i) => {
    const worst = by[dtype] ? worstOf(tally(by[dtype])) : "";
    stops.push(`var(${worst ? tones[worst] : "--paper"}) ${i * 6}px ${i * 6 + 5}px, transparent ${i * 6 + 5}px ${i * 6 + 6}px`);
    if (worst && worst !== "holds") said.push(`${dtype} ${worst}`);
  });
  const node = el("span", { className: "dots", "aria-hidden": "true" });
  node.style.width = `${dtypes.length * 6}px`;
  node.style.background = `linear-gradient(90deg, ${stops.join(", ")})`;
  return [node, said.length ? `; dtypes: ${said.join(", ")}` : "; every dtype holds"];
}

function cell(op, i, list) {
  const counts = tally(list), worst = worstOf(counts), column = columns[i];
  const said = WORST.filter((v) => counts[v]).map((v) => `${counts[v]} ${v}`).join(", ");
  const holding = counts.holds && (worst === "refused" || worst === "known") ? `${number(counts.holds)} ✓, ` : "";
  const what = worst === "not run" ? "·" : `${holding}${number(counts[worst])} ${MARKS[worst]}`;
  const [strip, about] = chosen.dtype ? [null, ""] : dots(list);
  const reasons = [...new Set(list.filter((c) => c.verdict === worst && c.reason >= 0 && worst !== "holds").map((c) => text(c.reason)))];
  return el("a", {
    className: `cell ${cls(worst)}`,
    href: hash(ops[op].name, column.name, column.device),
    title: [said + about, ...reasons.slice(0, 4), reasons.length > 4 ? `and ${reasons.length - 4} more reasons` : ""].filter(Boolean).join("\n"),
    "aria-label": `${ops[op].name}, ${column.name}, ${column.device}: ${said}`,
  }, el("span", { className: "what" }, what), strip);
}

const broken = (name) => name.split(/(?<=_)/).flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part]));

function draw() {
  const matches = matcher(), shown = shownColumns(), table = document.querySelector("#matrix table");
  const head = el("tr", {}, el("th", { scope: "col" }, "Op"), ...shown.map((i) => el("th", { scope: "col" }, ...broken(columns[i].name),
    el("small", {}, columns[i].device), el("small", { className: "version" }, columns[i].versions[columns[i].framework] || ""))));
  table.tHead.replaceChildren(head);
  for (const body of [...table.tBodies]) body.remove();
  let family = null, body = null, clauses = 0, rows = 0;
  ops.forEach((op, at) => {
    if (chosen.family && op.family !== chosen.family) return;
    const lists = shown.map((i) => (cells[i].get(at) || []).filter((clause) => matches(at, clause)));
    const total = lists.reduce((sum, list) => sum + list.length, 0);
    if (!total) return;
    clauses += total;
    rows += 1;
    if (op.family !== family) {
      family = op.family;
      body = table.appendChild(el("tbody", {}, el("tr", {}, el("th", { scope: "rowgroup", colspan: String(shown.length + 1) }, family))));
    }
    body.append(el("tr", {}, el("th", { scope: "row", title: op.summary }, el("span", { className: "id" }, ...broken(op.name))),
      ...lists.map((list, j) => el("td", {}, list.length ? cell(at, shown[j], list)
        : el("span", { className: "none", title: absent(at, shown[j]) }, "–")))));
  });
  const all = cells.reduce((sum, column) => sum + [...column.values()].reduce((s, list) => s + list.length, 0), 0);
  $("status").textContent = rows ? `${number(clauses)} of ${number(all)} clauses, ${rows} of ${ops.length} ops` : "Nothing matches. Reset shows everything.";
  fit();
}

function absent(op, i) {
  const column = columns[i];
  if (cells[i].has(op)) return "no clause matches the filter";
  return column.missing.includes(ops[op].name) ? `unsupported: ${column.backend} does not define it` : "not judged";
}

function fit() {
  const box = $("matrix");
  box.classList.remove("wide");
  const wide = box.querySelector("table").scrollWidth > box.clientWidth;
  box.classList.toggle("wide", wide);
  box.tabIndex = wide ? 0 : -1;
}

// what stands above the matrix
function facts(box) {
  const pairs = (entries) => el("dl", {}, ...entries.filter(([, value]) => value).flatMap(([key, value]) => [el("dt", {}, key), el("dd", {}, String(value))]));
  const machines = report.reports.map((r, i) => el("section", { className: "card" }, el("h3", {}, r.label), pairs([
    ["verdict", `${r.passed ? "passed" : "failed"}, ${r.state}`], ["date", r.created.replace("T", " ").replace("+00:00", " UTC")],
    ["spec", r.spec], ["einspec", r.einspec], ["python", r.python], ["platform", r.platform],
    ["took", `${r.seconds} s`],
    ...Object.entries(r.asked).map(([k, v]) => [k === "names" ? "asked for" : k, v]),
    ...columns.filter((c) => c.report === i).flatMap((c) => [
      [`${c.backend} ${c.device}`, Object.entries(c.versions).map(([k, v]) => `${k} ${v}`).join(", ")],
      ...(c.absent.length ? [[`${c.backend} not run`, `no such device: ${c.absent.join(", ")}`]] : []),
      ...(c.missing.length ? [[`${c.backend} lacks`, c.missing.join(", ")]] : []),
    ]),
  ])));
  const reasons = new Map();
  cells.forEach((column, i) => column.forEach((list) => list.forEach((c) => {
    if (c.verdict !== "not run" && c.verdict !== "unsupported") return;
    const key = `${c.verdict}: ${text(c.reason) || "no reason given"}`;
    const entry = reasons.get(key) || { count: 0, where: new Set() };
    entry.count += 1;
    entry.where.add(columns[i].name);
    reasons.set(key, entry);
  })));
  const sorted = [...reasons].sort((a, b) => b[1].count - a[1].count);
  box.append(el("div", { className: "machines" }, ...machines));
  if (report.notes.length) {
    box.append(el("section", { className: "said" }, el("h3", {}, "Besides"), el("ul", {}, ...report.notes.map((note) => el("li", {}, note)))));
  }
  if (sorted.length) {
    box.append(el("section", { className: "said" }, el("h3", {}, "Not judged, and why"),
      el("ul", {}, ...sorted.map(([reason, { count, where }]) => el("li", {}, `${reason} (${number(count)}; ${[...where].join(", ")})`)))));
  }
}

function disagreements(box) {
  for (const { backend, device, clauses, sides } of report.disagreements) {
    const links = clauses.map(([id, tier]) => {
      const [op, ...kind] = id.split("/"), failing = sides.find(([, verdict]) => /wrong|errored/.test(verdicts[verdict])) || sides[0];
      const column = columns[failing[0]];
      return el("a", { href: hash(op, kind.join("/"), column.name, column.device) }, id.endsWith("/def") ? `${id} (${tier})` : id);
    });
    box.append(el("section", { className: "said" }, el("h3", {}, `${backend}, ${device}`),
      el("p", {}, ...links.flatMap((link, i) => (i ? [", ", link] : [link]))),
      el("ul", {}, ...sides.map(([i, verdict, reason]) => el("li", { className: cls(verdicts[verdict]) }, `${columns[i].name}, ${columns[i].device} (${Object.entries(columns[i].versions).map(([k, v]) => `${k} ${v}`).join(", ")}, ${columns[i].platform}): `,
        el("b", { className: "tone" }, verdicts[verdict]), reason ? `, ${reason}` : "")))));
  }
}

function lazily(details, fill) {
  details.addEventListener("toggle", () => {
    const box = details.lastElementChild;
    if (details.open && !box.childNodes.length) fill(box);
  });
}

// the panel of a cell
const panel = $("panel");

function clauseNode(op, i, clause, open) {
  const kind = text(clause.kind), column = columns[i];
  const note = [clause.inputs ? `${number(clause.inputs)} inputs` : "", text(clause.reason)].filter(Boolean).join("; ");
  const node = el("details", { className: `clause ${cls(clause.verdict)}`, "data-kind": kind },
    el("summary", {}, el("span", { className: "mark" }, clause.verdict === "holds" ? "✓ holds" : clause.verdict),
      el("span", { className: "name" }, el("span", { className: "id" }, kind), ` ${tiers[clause.tier]}`), el("span", { className: "note" }, note)),
    el("div", { className: "more" }));
  lazily(node, (box) => fillClause(box, op, kind, column, clause));
  if (open) node.open = true;
  return node;
}

function fillClause(box, op, kind, column, clause) {
  const link = hash(ops[op].name, kind, column.name, column.device);
  box.append(el("p", {}, el("a", { href: link }, "Link to this clause"), " · cite as ", el("code", {}, `${ops[op].name}/${kind}`),
    `, spec ${report.reports[column.report].spec}`));
  const entries = clause.witness < 0 ? [] : witnesses[clause.witness], rows = el("dl", { className: "witness" });
  let script = null;
  for (let at = 0; at < entries.length; at += 2) {
    const label = text(entries[at]), value = text(entries[at + 1]);
    if (label === "script") script = withCopy("Script: it shows the failure without einspec", value, "script");
    else rows.append(el("dt", {}, label), el("dd", {}, el("pre", { className: label.split(" ")[0], tabindex: "0" }, value)));
  }
  if (rows.childNodes.length) box.append(rows);
  if (script) box.append(script);
  if (clause.verdict !== "holds") {
    box.append(withCopy("To judge it again", `${column.again} --op ${ops[op].name} --device ${column.device}`, "again"));
  }
}

function withCopy(title, value, name) {
  const button = el("button", { type: "button", className: "copy" }, "Copy"), code = el("pre", { className: name, tabindex: "0" }, value);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(value);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  });
  return el("section", {}, el("div", { className: "bar" }, el("h4", {}, title), button), code);
}

function show(op, i, wanted) {
  const column = columns[i], list = cells[i].get(op), counts = tally(list);
  const failing = list.filter((c) => c.verdict === "wrong" || c.verdict === "errored");
  const close = el("button", { type: "button", className: "close", "aria-label": "Close" }, "✕");
  close.addEventListener("click", () => panel.close());
  const versions = Object.entries(column.versions).map(([k, v]) => `${k} ${v}`).join(", ");
  const body = el("div", { className: "body" }, el("p", {}, ops[op].summary));
  for (const [label, signature, formula] of ops[op].forms) {
    body.append(el("div", { className: "form" }, label ? el("p", {}, label) : null, el("pre", { tabindex: "0" }, `${signature}\n${formula}`)));
  }
  body.append(el("ul", { className: "elsewhere", "aria-label": "The same op elsewhere" }, ...columns.map((other, j) => {
    if (!cells[j].has(op)) return null;
    const found = tally(cells[j].get(op)), worst = worstOf(found);
    const link = el("a", { className: cls(worst), href: hash(ops[op].name, other.name, other.device) }, `${other.name} ${other.device}: ${found[worst]} ${MARKS[worst]}`);
    if (j === i) link.setAttribute("aria-current", "true");
    return el("li", {}, link);
  })));
  const first = wanted ? list.filter((c) => text(c.kind) === wanted).sort((a, b) => WORST.indexOf(a.verdict) - WORST.indexOf(b.verdict))[0] : failing[0];
  if (failing.length) {
    body.append(el("h3", {}, "Fails ", el("small", {}, "the first is the one to read")), ...failing.map((c) => clauseNode(op, i, c, c === first)));
  }
  const rest = list.filter((c) => !failing.includes(c)), taken = new Set();
  for (const [title, about, pattern] of GROUPS) {
    const members = rest.filter((c) => !taken.has(c) && pattern.test(text(c.kind)));
    members.forEach((c) => taken.add(c));
    if (members.length) body.append(el("h3", {}, `${title} `, el("small", {}, about)), ...members.map((c) => clauseNode(op, i, c, c === first)));
  }
  panel.replaceChildren(el("div", { className: "top" }, el("div", {}, el("h2", { id: "panel-title", tabindex: "-1" }, ops[op].name),
    el("p", {}, [`${column.name} · ${column.device}`, WORST.filter((v) => counts[v]).map((v) => `${counts[v]} ${v}`).join(", ")].join(" · ")),
    el("p", {}, [versions, column.python ? `python ${column.python}` : ""].filter(Boolean).join(", "))), close), body);
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  const target = wanted && panel.querySelector("details[open]");
  if (target) target.scrollIntoView({ block: "center" });
  (target ? target.querySelector("summary") : $("panel-title")).focus({ preventScroll: true });
}

function follow() {
  const parts = location.hash.slice(1).split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const [op, kind, name, device] = parts.length === 3 ? [parts[0], "", parts[1], parts[2]] : [parts[0], parts.slice(1, -2).join("/"), ...parts.slice(-2)];
  const at = ops.findIndex((o) => o.name === op), i = columns.findIndex((c) => c.name === name && c.device === device);
  if (parts.length >= 3 && at >= 0 && i >= 0 && cells[i].has(at)) show(at, i, kind);
  else if (panel.open) panel.close();
}

panel.addEventListener("close", () => {
  if (location.hash) history.replaceState(null, "", location.pathname + location.search);
});
panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
addEventListener("hashchange", follow);
addEventListener("resize", fit);
addEventListener("keydown", (event) => {
  if (event.key === "/" && !panel.open && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    event.preventDefault();
    $("search").focus();
  }
});

// the controls
const counts = tally(cells.flatMap((column) => [...column.values()].flat()));
for (const verdict of verdicts) {
  const chip = el("button", { type: "button", className: `chip ${cls(verdict)}`, "aria-pressed": "false", "data-verdict": verdict, disabled: !counts[verdict] },
    el("b", {}, number(counts[verdict] || 0)), verdict);
  chip.addEventListener("click", () => {
    const on = !chosen.verdicts.delete(verdict);
    if (on) chosen.verdicts.add(verdict);
    chip.setAttribute("aria-pressed", String(on));
    draw();
  });
  $("verdicts").append(chip);
}
const unique = (list) => [...new Set(list)];
const kinds = unique(columns.map((c) => kindOf(c.device))), devices = unique(columns.map((c) => c.device));
for (const [id, options] of Object.entries({
  family: unique(ops.map((op) => op.family)),
  backend: unique(columns.map((c) => c.name)),
  device: unique([...kinds, ...devices]),
  dtype: dtypes.filter((dtype) => dtypeOf.includes(dtype)),
  tier: tiers,
})) {
  $(id).append(el("option", { value: "" }, "all"), ...options.map((option) => el("option", { value: option }, option)));
  $(id).addEventListener("change", () => { chosen[id] = $(id).value; draw(); });
}
$("search").addEventListener("input", () => {
  chosen.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  draw();
});
$("tools").addEventListener("submit", (event) => event.preventDefault());
$("tools").addEventListener("reset", () => {
  Object.assign(chosen, { verdicts: new Set(), words: [], family: "", backend: "", device: "", dtype: "", tier: "" });
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
  draw();
});

$("state").textContent = report.passed ? "passed" : "failed";
$("state").className = `tone ${report.passed ? "holds" : "wrong"}`;
if (report.problems.length) {
  $("problems").append(...report.problems.map((problem) => el("li", {}, problem)));
  $("problems").hidden = false;
}
const failing = cells.flatMap((column, i) => [...column].map(([op, list]) => [op, i, tally(list)]))
  .filter(([, , found]) => found.wrong || found.errored);
if (failing.length) {
  $("failing").append("Fails: ", ...failing.slice(0, 12).flatMap(([op, i], at) => [at ? ", " : "",
    el("a", { href: hash(ops[op].name, columns[i].name, columns[i].device) }, `${ops[op].name} on ${columns[i].name} ${columns[i].device}`)]),
  failing.length > 12 ? ` and ${number(failing.length - 12)} more` : "");
  $("failing").hidden = false;
}
if (report.disagreements.length) {
  const total = report.disagreements.reduce((sum, d) => sum + d.clauses.length, 0);
  $("disagree").hidden = false;
  $("disagree").firstElementChild.textContent = `Machines disagree on ${number(total)} ${total === 1 ? "clause" : "clauses"}`;
  lazily($("disagree"), disagreements);
}
lazily($("facts"), facts);
$("legend").append(`Each strip shows the dtypes in the order ${dtypes.join(", ")}. A dash is an op that was not judged there. einspec ${report.einspec}.`);
draw();
follow();
