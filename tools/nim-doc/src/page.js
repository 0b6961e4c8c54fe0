// Shows the sections that hold every word of the search; those with all words in the title come first.
"use strict";
const box = document.getElementById("search");
const count = document.getElementById("count");
const main = document.querySelector("main");
// One link a section, in their order.
const links = [...document.querySelectorAll("#menu a")];
const sections = [...document.querySelectorAll("main section")].map((node, index) => ({
  node,
  index,
  entry: node.classList.contains("entry"),
  title: node.firstElementChild.textContent.toLowerCase(),
  text: node.textContent.toLowerCase(),
  link: links[index],
}));

function search() {
  const words = box.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
  let shown = 0;
  for (const one of sections) {
    one.rank = words.every((word) => one.title.includes(word)) ? 0 : 1;
    one.hit = words.length === 0 || (one.entry && words.every((word) => one.text.includes(word)));
    one.node.classList.toggle("hidden", !one.hit);
    one.link.classList.toggle("hidden", !one.hit);
    shown += one.hit ? 1 : 0;
  }
  const order = words.length === 0 ? (a, b) => a.index - b.index : (a, b) => a.rank - b.rank || a.index - b.index;
  for (const one of [...sections].sort(order)) {
    main.appendChild(one.node);
    one.link.parentNode.appendChild(one.link);
  }
  count.textContent = words.length === 0 ? "" : `${shown} found`;
}

box.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== box) {
    event.preventDefault();
    box.focus();
    box.select();
  }
  if (event.key === "Escape" && document.activeElement === box) {
    box.value = "";
    search();
  }
});
