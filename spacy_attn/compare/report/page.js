"use strict";

// Show the instances that one chosen system gets right and the other wrong.
(() => {
  const list = document.getElementById("disputed");
  if (!list) return;
  const [right, wrong] = ["right", "wrong"].map((id) => document.getElementById(id));
  const counts = JSON.parse(list.dataset.counts);
  const most = Number(list.dataset.most);
  const items = Array.from(list.children, (item) => ({
    item,
    rank: Number(item.dataset.rank),
    right: item.dataset.right,
    said: JSON.parse(item.dataset.said),
  }));

  const answers = (said, systems) => systems.map(([name, i]) => `${name}: ${said[i]}`).join(" · ");

  const show = () => {
    const [one, other] = [Number(right.value), Number(wrong.value)];
    const names = [right, wrong].map((menu) => menu.selectedOptions[0].textContent);
    const found = items
      .filter((each) => each.right[one] === "1" && each.right[other] === "0")
      .sort((a, b) => a.rank - b.rank)
      .slice(0, most);
    const shown = new Set(found);
    for (const each of items) {
      each.item.hidden = !shown.has(each);
      each.item.querySelector(".said").textContent = answers(each.said, [
        [names[0], one],
        [names[1], other],
      ]);
    }
    const n = counts[one][other];
    const numbers = { n, left: n - found.length, back: counts[other][one] };
    for (const [key, number] of Object.entries(numbers))
      document.getElementById(`count-${key}`).textContent = number.toLocaleString("en");
    for (const element of document.querySelectorAll(".name-right")) element.textContent = names[0];
    for (const element of document.querySelectorAll(".name-wrong")) element.textContent = names[1];
    document.getElementById("left-out").hidden = numbers.left === 0;
  };

  document.getElementById("swap").addEventListener("click", () => {
    [right.value, wrong.value] = [wrong.value, right.value];
    show();
  });
  right.addEventListener("change", show);
  wrong.addEventListener("change", show);
  document.getElementById("menus").hidden = false;
  show(); // a browser that goes back to the page restores the menus
})();

// Show the sentence of a point of the map where it is pointed at or reached with Tab.
(() => {
  const said = document.getElementById("map-said");
  if (!said) return;
  for (const point of document.querySelectorAll(".point")) {
    const sentence = document.getElementById(point.id.replace("vector-map--map-point", "sentence"));
    const show = () => {
      const shown = sentence ? sentence.cloneNode(true).childNodes : [point.getAttribute("aria-label")];
      said.replaceChildren(...shown);
    };
    point.addEventListener("focus", show);
    point.addEventListener("pointerenter", show);
  }
})();
