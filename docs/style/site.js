// What scrolls can be reached by the keyboard; the search and the buttons at code have names for a screen reader.
const scrolling = ".md-typeset pre > code, .md-typeset__scrollwrap, .md-typeset p.drawing";

function mend() {
  for (const each of document.querySelectorAll(scrolling)) {
    each.toggleAttribute("tabindex", each.scrollWidth > each.clientWidth);
    if (each.hasAttribute("tabindex")) each.setAttribute("tabindex", "0");
  }
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((each, place) => each.setAttribute("aria-label", `Code ${place + 1}`));
}

new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
addEventListener("resize", mend);
addEventListener("load", mend);
mend();
