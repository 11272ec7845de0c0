"use strict";
(() => {
  const $ = (selector, from = document) => from.querySelector(selector);
  const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

  // What is scrolled to stands below the bar of filters, which has one line or several.
  const clearance = () => {
    const bar = form && getComputedStyle(form).position === "sticky" ? form.offsetHeight : 0;
    document.documentElement.style.scrollPaddingTop = `${bar + 12}px`;
  };
  // At once, and again when what was not laid out yet has its height: a smooth way would end beside it.
  const land = (target, again) => {
    target.scrollIntoView({ behavior: "instant" });
    if (again) requestAnimationFrame(() => land(target, again - 1));
  };

  // A link to something inside a closed or filtered entry opens it.
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const target = id && document.getElementById(id);
    if (!target) return;
    if (target.closest("[hidden]")) clear();
    for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    land(target, 3);
    const focus = $("summary, a[href]", target) || target;
    focus.focus({ preventScroll: true });
  };

  const form = $(".filters");
  const names = ["text", "outcome", "framework", "owner", "severity"];
  const field = Object.fromEntries(form ? names.map((name) => [name, $("#f-" + name, form)]) : []);
  const entries = $$(".entry").map((el) => ({
    el,
    outcome: el.dataset.outcome,
    owner: el.dataset.owner,
    severity: el.dataset.severity,
    frameworks: (el.dataset.frameworks || "").split(" "),
    count: $(".match", el),
  }));
  const itemOutcomes = new Set(["fail", "unknown", "waived", "pass", "excluded"]);

  // Texts are read once, when somebody first searches: with 10,000 items that is most of the work.
  const read = (entry) => {
    if (entry.items) return;
    entry.items = $$(".it", entry.el).map((el) => ({ el, outcome: el.dataset.o, text: el.textContent.toLowerCase() }));
    entry.head = ($(".head-line", entry.el) || entry.el).textContent.toLowerCase();
    entry.text = entry.el.textContent.toLowerCase();
  };
  const show = (el, visible) => { if (el.hidden === visible) el.hidden = !visible; };

  const apply = () => {
    const want = Object.fromEntries(names.map((name) => [name, field[name].value]));
    const words = want.text.toLowerCase().split(/\s+/).filter(Boolean);
    const has = (text) => words.every((word) => text.includes(word));
    const byItem = itemOutcomes.has(want.outcome);
    const narrowed = words.length > 0 || byItem;
    let shown = 0, itemsShown = 0, itemsAll = 0;
    for (const entry of entries) {
      read(entry);
      let fits = (!want.owner || entry.owner === want.owner) && (!want.severity || entry.severity === want.severity) &&
        (!want.framework || entry.frameworks.includes(want.framework)) &&
        (!want.outcome || byItem || entry.outcome === want.outcome) && has(entry.text);
      const mine = byItem ? entry.items.filter((item) => item.outcome === want.outcome) : entry.items;
      let kept = words.length && !has(entry.head) ? mine.filter((item) => has(item.text)) : mine;
      if (!kept.length && words.length && !byItem) kept = mine; // the words stand elsewhere in the entry
      // An entry without items is judged by its own outcome.
      if (byItem && !kept.length && !(entry.outcome === want.outcome && !entry.items.length)) fits = false;
      itemsAll += entry.items.length;
      show(entry.el, fits);
      if (!fits) continue;
      shown += 1;
      itemsShown += kept.length;
      const keep = new Set(kept);
      for (const item of entry.items) show(item.el, keep.has(item));
      if (entry.count) entry.count.textContent = narrowed && kept.length < entry.items.length ? `${kept.length.toLocaleString("en")} of ${entry.items.length.toLocaleString("en")} items` : "";
    }
    const status = $(".told-count", form), n = (value) => value.toLocaleString("en");
    const some = itemsAll && status.dataset.items ? `, ${n(itemsShown)} of ${n(itemsAll)} ${status.dataset.items}` : "";
    status.textContent = shown ? `${n(shown)} of ${n(entries.length)} ${status.dataset.entries}${some}` : `Nothing fits. Clear the filter to see all ${n(entries.length)} ${status.dataset.entries}.`;
    document.body.classList.toggle("filtered", names.some((name) => want[name]));
    remember(want);
  };

  // The filter is part of the address, so that it can be sent to somebody together with the file.
  const remember = (want) => {
    const query = new URLSearchParams(names.filter((name) => want[name]).map((name) => [name, want[name]])).toString();
    try { history.replaceState(null, "", location.pathname + (query && "?" + query) + location.hash); } catch { /* some browsers refuse this for files */ }
  };
  const clear = () => { if (form) { names.forEach((name) => { field[name].value = ""; }); apply(); } };

  if (form && entries.length) {
    const given = new URLSearchParams(location.search);
    names.forEach((name) => { if (given.get(name)) field[name].value = given.get(name); });
    form.hidden = false;
    let waiting = 0;
    const soon = () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(apply); };
    form.addEventListener("input", soon);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", (event) => { event.preventDefault(); clear(); field.text.focus(); });
    addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
      if (event.key === "/" && !typing) { event.preventDefault(); field.text.focus(); }
      if (event.key === "Escape" && document.activeElement === field.text) clear();
    });
    apply();
  }
  for (const button of $$("button[data-open]")) {
    button.hidden = false;
    button.addEventListener("click", () => $$("details.entry").forEach((box) => { box.open = button.dataset.open === "all"; }));
  }
  let closed = [];
  addEventListener("beforeprint", () => { closed = $$("details:not([open])"); closed.forEach((box) => { box.open = true; }); });
  addEventListener("afterprint", () => closed.forEach((box) => { box.open = false; }));
  addEventListener("hashchange", reveal);
  addEventListener("resize", clearance);
  clearance();
  reveal();
})();
