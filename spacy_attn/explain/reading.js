"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [TEXT, START, END, WORD, RANKED, SENTENCE, METHOD, OTHER, CUES, NONE] = Array(10).keys();
const LISTED = 100;  // words that are listed at first
const byId = (id) => document.getElementById(id);
const main = byId("text"), card = byId("card");
const marks = data.marks.map((_, i) => byId("m" + i));
// Offsets count characters, and a string of JavaScript counts some characters twice.
const characters = data.texts.map(([, text]) => /[\ud800-\udfff]/.test(text) ? Array.from(text) : text);

const make = (tag, properties = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
};
const slice = (text, start, end) => {
  const part = characters[text].slice(start, end);
  return typeof part === "string" ? part : part.join("");
};
const number = (element) => Number(element.id.slice(1));
const written = (i) => slice(data.marks[i][TEXT], data.marks[i][START], data.marks[i][END]);
for (const word of data.words) word[2] = word[2].map((sense) => data.senses[sense]);
const sensesOf = (i) => data.words[data.marks[i][WORD]][2];
const best = (i) => sensesOf(i)[data.marks[i][RANKED][0]];
const percent = (p) => p < 0 ? "?" : p + " %";

// -- layers ----------------------------------------------------------------------------------

for (const box of document.querySelectorAll("#bar input[type=checkbox]")) {
  const layer = box.id.slice("show-".length);
  box.checked = layer === "senses";
  box.addEventListener("change", () => document.body.classList.toggle(layer, box.checked));
}

// -- the card of a word ------------------------------------------------------------------------

let open = -1, pinned = false, closing = 0;

const rowOf = (sense, p, isBest) => {
  const item = make("li", {},
    make("span", {className: "row"}, make("span", {className: "id"}, sense[0]),
      make("span", {className: "p"}, percent(p))),
    make("div", {className: "meter"}, Object.assign(make("span"), {style: `width:${Math.max(p, 0)}%`})));
  if (sense[1] && !isBest) item.append(make("div", {}, sense[1]));
  return item;
};

const fill = (i) => {
  const mark = data.marks[i], senses = sensesOf(i), ranked = mark[RANKED];
  const list = make("ol");
  for (let k = 0; k < ranked.length; k += 2) list.append(rowOf(senses[ranked[k]], ranked[k + 1], k === 0));
  if (mark[NONE]) {
    list.append(make("li", {className: "row"}, make("span", {className: "id"}, "none of these"),
      make("span", {className: "p"}, percent(mark[NONE]))));
  }
  const parts = [
    make("button", {type: "button", className: "close", onclick: close}, "close"),
    make("h3", {}, written(i)),
    make("p", {}, senses[ranked[0]][1] || senses[ranked[0]][0]),
    list,
  ];
  if (mark[CUES].length) {
    const words = mark[CUES].map(([word, weight]) => `${word} (+${weight.toFixed(2)})`).join(", ");
    parts.push(make("p", {}, make("strong", {}, "Weighed most: "), words));
  }
  if (mark[OTHER].length) {
    const isSame = mark[OTHER][0] === ranked[0];
    parts.push(make("p", {}, make("strong", {}, `${data.against}: `),
      `${isSame ? "the same" : "≠ " + mark[OTHER][2]}, ${percent(mark[OTHER][1])}`));
  }
  card.replaceChildren(...parts);
};

const place = (element) => {
  const box = element.getClientRects()[0];
  const width = Math.min(card.offsetWidth, innerWidth);
  card.style.left = Math.max(8, Math.min(box.left, innerWidth - width - 16)) + scrollX + "px";
  const below = box.bottom + 8, above = box.top - card.offsetHeight - 8;
  const top = below + card.offsetHeight > innerHeight && above > 0 ? above : below;
  card.style.top = top + scrollY + "px";
};

const show = (i) => {
  clearTimeout(closing);
  if (open === i) return;
  if (open >= 0) marks[open].setAttribute("aria-expanded", "false");
  open = i;
  fill(i);
  card.hidden = false;
  marks[i].setAttribute("aria-expanded", "true");
  place(marks[i]);
};

function close() {
  clearTimeout(closing);
  if (open >= 0) marks[open].setAttribute("aria-expanded", "false");
  open = -1;
  pinned = false;
  card.hidden = true;
}

let inTabOrder = marks[0];
for (const mark of marks) {
  mark.tabIndex = -1;
  mark.setAttribute("role", "button");
  mark.setAttribute("aria-expanded", "false");
}
const enter = (mark) => {
  if (inTabOrder) inTabOrder.tabIndex = -1;
  inTabOrder = mark;
  mark.tabIndex = 0;
};
if (inTabOrder) enter(inTabOrder);

const markOf = (event) => event.target.closest ? event.target.closest("#text b[id]") : null;
main.addEventListener("pointerover", (event) => {
  const mark = markOf(event);
  if (mark && event.pointerType === "mouse" && !pinned) show(number(mark));
});
main.addEventListener("pointerout", (event) => {
  if (markOf(event) && !pinned) closing = setTimeout(close, 250);
});
card.addEventListener("pointerenter", () => clearTimeout(closing));
card.addEventListener("pointerleave", () => { if (!pinned) closing = setTimeout(close, 250); });
main.addEventListener("click", (event) => {
  const mark = markOf(event);
  if (!mark) return;
  const i = number(mark);
  if (pinned && open === i) { close(); return; }
  enter(mark);
  if (data.review && sensesOf(i).length > 1) { close(); ask(i); return; }
  show(i);
  pinned = true;
});
main.addEventListener("focusin", (event) => {
  const mark = markOf(event);
  if (mark && mark.matches(":focus-visible")) { enter(mark); show(number(mark)); pinned = true; }
});
document.addEventListener("click", (event) => {
  if (pinned && !markOf(event) && !card.contains(event.target)) close();
});
const step = (mark, by) => {
  const shown = document.body.classList.contains("filtered") ? marks.filter((m) => m.classList.contains("hit")) : marks;
  const next = shown[shown.indexOf(mark) + by];
  if (!next) return;
  next.focus();
  enter(next);
  show(number(next));
  pinned = true;
};
main.addEventListener("keydown", (event) => {
  const mark = markOf(event);
  if (!mark || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "ArrowRight" || event.key === "ArrowDown") step(mark, 1);
  else if (event.key === "ArrowLeft" || event.key === "ArrowUp") step(mark, -1);
  else if (event.key === "Enter" || event.key === " ") mark.click();
  else return;
  event.preventDefault();
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

// -- the list of words, which filters the text -------------------------------------------------

// One entry for a lemma and part of speech, whatever else each of its forms could have been.
const groups = new Map();
data.marks.forEach((mark, i) => {
  if (sensesOf(i).length < 2) return;
  const name = JSON.stringify(data.words[mark[WORD]].slice(0, 2));
  if (!groups.has(name)) groups.set(name, []);
  groups.get(name).push(i);
});
const ordered = [...groups].sort((a, b) => b[1].length - a[1].length);

const counted = (members) => {
  const counts = new Map();
  for (const i of members) counts.set(best(i)[0], (counts.get(best(i)[0]) || 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
};

let filtered = "";  // the button that filters
const filter = (name, found, said) => {
  filtered = name;
  document.body.classList.toggle("filtered", name !== "");
  for (const mark of document.querySelectorAll("b.hit")) mark.classList.remove("hit");
  for (const i of found) marks[i].classList.add("hit");
  byId("filter").textContent = said;
  for (const button of document.querySelectorAll("#words button")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === name && name !== ""));
  }
  if (found.length) marks[found[0]].scrollIntoView({block: "center"});
};

const share = (counts, total) => {
  const bar = make("span", {className: "share", "aria-hidden": "true"});
  for (const [, n] of counts) bar.append(Object.assign(make("span"), {style: `flex:${n / total}`}));
  return bar;
};

const entry = ([name, members]) => {
  const [lemma, pos] = JSON.parse(name), counts = counted(members);
  const inner = make("ul", {hidden: true});
  const button = make("button", {type: "button", "aria-pressed": "false", "data-name": name},
    make("span", {}, lemma, pos ? make("small", {}, ` ${pos.toLowerCase()}`) : ""),
    make("span", {className: "n"}, `${members.length}`), share(counts, members.length));
  button.addEventListener("click", () => {
    const isOn = filtered === name;
    for (const list of document.querySelectorAll("#words ul")) list.hidden = true;
    inner.hidden = isOn;
    filter(isOn ? "" : name, isOn ? [] : members, isOn ? "" : `${lemma}: ${members.length} in the text`);
  });
  counts.forEach(([sense, n]) => {
    const own = `${name} ${sense}`, mine = members.filter((i) => best(i)[0] === sense);
    const each = make("button", {type: "button", "aria-pressed": "false", "data-name": own},
      make("span", {}, sense), make("span", {className: "n"}, `${n}`),
      make("small", {}, best(mine[0])[1]));
    each.addEventListener("click", () => filter(own, mine, `${sense}: ${n} in the text`));
    inner.append(make("li", {}, each));
  });
  return make("li", {}, button, inner);
};

const list = (entries) => {
  const words = byId("words");
  words.replaceChildren(...entries.slice(0, LISTED).map(entry));
  if (entries.length > LISTED) {
    const all = make("button", {type: "button"}, `all ${entries.length} words`);
    all.addEventListener("click", () => words.replaceChildren(...entries.map(entry)));
    words.append(make("li", {}, all));
  }
};
list(ordered);

// -- search ------------------------------------------------------------------------------------

const holds = data.words.map(([lemma, , senses]) =>
  [lemma, ...senses.flatMap(([id, definition]) => [id, definition])].join("\n").toLowerCase());
let hits = [], at = -1;
const search = byId("search");
search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  at = -1;
  if (!wanted) {
    hits = [];
    filter("", [], "");
    byId("hits").textContent = "";
    list(ordered);
    return;
  }
  hits = marks.map((_, i) => i).filter((i) =>
    holds[data.marks[i][WORD]].includes(wanted) || written(i).toLowerCase().includes(wanted));
  const found = new Set(hits);
  list(ordered.filter(([, members]) => members.some((i) => found.has(i))));
  filter("search", hits, "");
  byId("hits").textContent = `${hits.length} found`;
});
search.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !hits.length) return;
  at = (at + 1) % hits.length;
  const mark = marks[hits[at]];
  mark.scrollIntoView({block: "center"});
  show(hits[at]);
  pinned = true;
});

// -- corrections ---------------------------------------------------------------------------------

const queue = marks.map((_, i) => i).filter((i) => sensesOf(i).length > 1)
  .sort((a, b) => data.marks[a][RANKED][1] - data.marks[b][RANKED][1]);
let verdicts = new Map(), done = [], current = -1;
const stored = `spacy_attn.${data.key}`;

const remember = () => {
  try { localStorage.setItem(stored, JSON.stringify({verdicts: [...verdicts], done})); } catch { /* not kept */ }
};
const recall = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(stored));
    if (kept) { verdicts = new Map(kept.verdicts); done = kept.done; }
  } catch { /* nothing kept */ }
};

// The order of the answers is that of their probabilities: the keys of the likeliest come first.
const answersOf = (i) => {
  const ranked = data.marks[i][RANKED].filter((_, k) => k % 2 === 0);
  return [...ranked, ...sensesOf(i).keys()].filter((sense, k, all) => all.indexOf(sense) === k);
};

const progress = () => {
  byId("progress").textContent = `${verdicts.size} of ${queue.length}`;
  byId("done").value = queue.length ? verdicts.size / queue.length : 1;
};

function ask(i) {
  for (const mark of document.querySelectorAll("b.now")) mark.classList.remove("now");
  current = i;
  progress();
  if (i < 0) {
    byId("question").textContent = "All words are decided. Save the corrections.";
    byId("answers").replaceChildren();
    return;
  }
  const mark = data.marks[i], [first, last] = mark[SENTENCE];
  marks[i].classList.add("now");
  marks[i].scrollIntoView({block: "center"});
  byId("question").replaceChildren(slice(mark[TEXT], first, mark[START]), make("mark", {}, written(i)),
    slice(mark[TEXT], mark[END], last));
  const given = verdicts.get(i);
  byId("answers").replaceChildren(...answersOf(i).map((sense, k) => {
    const [id, definition] = sensesOf(i)[sense];
    const place = mark[RANKED].findIndex((each, at) => at % 2 === 0 && each === sense);
    const p = place < 0 ? "" : ` ${percent(mark[RANKED][place + 1]).replace(" ", "\u00a0")}`;
    const button = make("button", {type: "button", "aria-pressed": String(given === sense)},
      k < 9 ? make("kbd", {}, String(k + 1)) : "", ` ${definition || id} `,
      make("span", {className: "id"}, `${definition ? id : ""}${p}`));
    button.addEventListener("click", () => answer(sense));
    return make("li", {}, button);
  }));
}

const next = (from) => {
  const start = queue.indexOf(from) + 1;
  const rest = [...queue.slice(start), ...queue.slice(0, start)];
  const found = rest.find((i) => !verdicts.has(i));
  ask(found === undefined ? -1 : found);
};

const answer = (verdict) => {
  if (current < 0) return;
  done.push([current, verdicts.has(current) ? verdicts.get(current) : null]);
  verdicts.set(current, verdict);
  marks[current].classList.add("fixed");
  remember();
  next(current);
};

const undo = () => {
  const last = done.pop();
  if (!last) return;
  const [i, before] = last;
  if (before === null) { verdicts.delete(i); marks[i].classList.remove("fixed"); } else verdicts.set(i, before);
  remember();
  ask(i);
};

const lineOf = ([i, verdict]) => {
  const mark = data.marks[i], [first, last] = mark[SENTENCE];
  const isSense = typeof verdict === "number";
  const chosen = isSense ? sensesOf(i)[verdict] : [""];
  const [lemma, pos] = chosen[3] ? chosen.slice(2) : data.words[mark[WORD]];
  const line = {
    text: slice(mark[TEXT], first, Math.max(last, mark[END])), start: mark[START] - first, end: mark[END] - first,
    lemma, pos, sense: chosen[0], verdict: isSense ? "sense" : verdict,
    was: best(i)[0], score: mark[RANKED][1] / 100, method: mark[METHOD],
    document: data.texts[mark[TEXT]][0], offset: mark[START],
  };
  return JSON.stringify(line) + "\n";
};

const save = () => {
  const ordered = [...verdicts].sort(([a], [b]) => a - b);
  const file = new Blob(ordered.map(lineOf), {type: "application/x-ndjson"});
  const link = make("a", {href: URL.createObjectURL(file), download: "corrections.jsonl"});
  document.body.append(link);
  link.click();
  link.remove();
  byId("progress").textContent = `${verdicts.size} of ${queue.length}, saved`;
};

if (data.review) {
  const actions = {
    none: () => answer("none"), unclear: () => answer("unclear"), undo, save,
    next: () => next(current),
    back: () => { if (done.length) ask(done[done.length - 1][0]); },
  };
  const keys = {0: "none", "-": "unclear", u: "undo", p: "back", n: "next", s: "save"};
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => actions[button.dataset.do]());
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input")) return;
    if (event.key >= "1" && event.key <= "9" && current >= 0) {
      const sense = answersOf(current)[Number(event.key) - 1];
      if (sense !== undefined) { close(); answer(sense); event.preventDefault(); }
    } else if (event.key in keys) {
      close();
      actions[keys[event.key]]();
      event.preventDefault();
    }
  });
  recall();
  for (const i of verdicts.keys()) marks[i].classList.add("fixed");
  next(-1);
}
