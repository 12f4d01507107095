// Keeps a page fresh: fetches it again and puts the new content in the place of the
// old one. Where somebody is and what they have filled in stays. Without this script
// the pages work the same; one reloads them by hand.
"use strict";

(() => {
  const main = document.getElementById("main");
  const troubled = document.getElementById("trouble"); // what everybody should know of sitrep itself
  const freshness = document.getElementById("freshness");
  const every = 1000 * Number(main.dataset.refresh || 0);
  let last = ""; // the content as it was fetched last
  let failures = 0;

  let silence = 0;
  const say = (text, seconds) => {
    clearTimeout(silence);
    if (freshness.textContent !== text) freshness.textContent = text;
    if (seconds) silence = setTimeout(() => { freshness.textContent = ""; }, 1000 * seconds);
  };

  // Times stand in the zone of the organisation, as in the messages, until another is chosen.
  // Where the browser's differs, it is one tap away.
  const yours = document.getElementById("your-zone");
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && -new Date().getTimezoneOffset() !== Number(yours.dataset.offset)) {
    yours.elements.zone.value = zone;
    yours.querySelector("span").textContent = zone;
    yours.hidden = false;
  }

  const edited = () => {
    const active = document.activeElement;
    if (active && active.closest("form") && active.matches("input, textarea, select")) return true;
    for (const field of main.querySelectorAll("form input, form textarea, form select")) {
      if (field.type === "hidden") continue;
      if (field.type === "checkbox" || field.type === "radio") {
        if (field.checked !== field.defaultChecked) return true;
      } else if (field.tagName === "SELECT") {
        const chosen = [...field.options].findIndex((o) => o.defaultSelected);
        if (field.selectedIndex !== Math.max(chosen, 0)) return true;
      } else if (field.value !== field.defaultValue) {
        return true;
      }
    }
    return false;
  };

  // path names an element by its place below the next one that has a name of its own, so
  // that it is found again in the new content.
  const path = (element) => {
    const steps = [];
    for (; element !== main && !element.id; element = element.parentElement) {
      steps.unshift(":nth-child(" + ([...element.parentElement.children].indexOf(element) + 1) + ")");
    }
    return ["#" + CSS.escape(element.id), ...steps].join(" > ");
  };

  const swap = (fresh) => {
    const open = [...main.querySelectorAll("details[open]")].map(path);
    const active = document.activeElement;
    const focused = active && active !== main && main.contains(active) ? path(active) : null;
    main.replaceChildren(...fresh.childNodes);
    for (const selector of open) {
      const details = document.querySelector(selector);
      if (details && details.tagName === "DETAILS") details.open = true;
    }
    if (focused) {
      const again = document.querySelector(focused);
      if (again) again.focus({ preventScroll: true });
    }
  };

  const refresh = async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "error" });
      if (!answer.ok) throw new Error("status " + answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("main");
      if (!fresh) throw new Error("not a page of sitrep");
      const trouble = page.getElementById("trouble");
      if (trouble && trouble.innerHTML !== troubled.innerHTML) troubled.replaceChildren(...trouble.childNodes);
      if (failures > 0) say("Connected again.", 10);
      failures = 0;
      const news = fresh.dataset.revision !== main.dataset.revision;
      if (edited()) {
        if (news) say("There is news. It shows once your form is sent or emptied.");
        return;
      }
      const content = fresh.innerHTML;
      if (content !== last) {
        last = content;
        document.title = page.title;
        main.dataset.revision = fresh.dataset.revision;
        swap(fresh);
        if (!news && failures === 0 && freshness.textContent.startsWith("There is news")) say("");
        if (news) {
          say("The page has news.", 10);
          main.classList.remove("fresh");
          void main.offsetWidth; // starts the animation anew
          main.classList.add("fresh");
        }
      }
    } catch {
      failures += 1;
      if (failures === 2) say("No connection to sitrep: this page may be old.");
    }
  };

  last = main.innerHTML;
  if (location.search.includes("done=")) {
    const here = new URL(location.href);
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }
  // The anchor of a form within something that is closed opens it.
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target && target.tagName === "DETAILS") target.open = true;

  // A preview shows its mails without being asked.
  for (const form of main.querySelectorAll("form.show")) {
    form.requestSubmit(form.querySelector("button"));
    form.hidden = true;
  }

  if (every > 0) {
    setInterval(refresh, every);
    document.addEventListener("visibilitychange", refresh);
  }
})();
