// Keeps the status fresh while somebody looks at it. Without this the page is whole, and loads itself anew.
"use strict";
(() => {
  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  const EVERY = 3000;
  const SLOWEST = 30000;
  let wait = EVERY;
  let timer = 0;
  let asking = null;
  let since = new Date();

  // Makes one tree like another, and leaves alone what is alike: what is focused, pressed or opened stays so.
  function become(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(old.nodeName === "DETAILS" && name === "open")) old.removeAttribute(name);
    }
    const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
    after.forEach((child, place) => (place < before.length ? become(before[place], child) : old.append(child)));
    before.slice(after.length).forEach((child) => child.remove());
  }

  function later() {
    clearTimeout(timer);
    timer = document.hidden ? 0 : setTimeout(look, wait);
  }

  async function look() {
    if (asking || document.hidden) return;
    asking = new AbortController();
    const limit = setTimeout(() => asking.abort(), 10000);
    try {
      const answer = await fetch("/live" + location.search, { signal: asking.signal, cache: "no-store" });
      if (answer.status === 401) {
        location.assign("/login");
        return;
      }
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      const fresh = new DOMParser().parseFromString('<div id="live" class="halves">' + text + "</div>", "text/html");
      become(live, document.importNode(fresh.getElementById("live"), true));
      wait = EVERY;
      since = new Date();
      stale.textContent = "";
      live.classList.remove("old");
    } catch {
      wait = Math.min(wait * 2, SLOWEST);
      stale.textContent = "The box has not answered since " + since.toLocaleTimeString() + ". What is below is of then; it is asked again.";
      live.classList.add("old");
    } finally {
      clearTimeout(limit);
      asking = null;
      later();
    }
  }

  document.addEventListener("visibilitychange", () => {
    wait = EVERY;
    if (document.hidden) later();
    else look();
  });
  later();
})();
