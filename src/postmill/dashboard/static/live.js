// Keeps a page up to date, and adds what a page without a script can do without: ages that count, keys, copying.
import { morph, isChosen } from "./morph.js";

const root = document.documentElement, base = root.dataset.base;
const all = (what, within = document) => [...within.querySelectorAll(what)];

// Parts of the page say by data-live which topics they show. When one has another version, they are asked for again.
const seen = JSON.parse(document.getElementById("versions")?.dataset.versions || "{}");
const parts = () => all("[data-live][id]");
const topicsOf = part => part.dataset.live.split(" ");
const stale = new Set();
let asking = false, timer = 0, restUntil = 0, askedAt = Date.now();

function hear(news) {
  const changed = Object.keys(news).filter(topic => seen[topic] !== news[topic]);
  Object.assign(seen, news);
  renew(parts().filter(part => topicsOf(part).some(topic => changed.includes(topic))));
}

function renew(which) {
  for (const part of which) stale.add(part.id);
  if (stale.size && !asking && !document.hidden) {
    clearTimeout(timer);
    timer = setTimeout(ask, Math.max(0, restUntil - Date.now()));
  }
}

async function ask() {
  const ids = [...stale], began = askedAt = Date.now();
  stale.clear();
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "postmill-parts": ids.join(" ") } });
    // A form that was refused is shown at an address of its own, which leads back to the page; another way leads to the door.
    if (answer.redirected && answer.url.includes("/sign-in?")) return location.assign(answer.url);
    if (answer.ok) {
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ids) {
        const from = document.getElementById(id), to = fresh.getElementById(id);
        if (from && to) morph(from, to);
      }
      age();
    }
  } catch {
    for (const id of ids) stale.add(id);
    restUntil = Date.now() + 2000;
  }
  asking = false;
  restUntil = Math.max(restUntil, Date.now() + Math.max(200, 3 * (Date.now() - began)));
  renew([]);
}

const worker = window.SharedWorker && new SharedWorker(`${base}/static/stream.js`, { name: `postmill ${base}` });
const watch = topics => worker?.port.postMessage(topics);
const watchAll = () => watch([...new Set(parts().flatMap(topicsOf))]);
const mark = document.querySelector(".stream");
const words = { live: "live", opening: "connecting", lost: "reconnecting", polling: "every 5 s", paused: "paused" };
function say(state) {
  root.dataset.stream = state;
  mark.ariaLive = state === "lost" ? "polite" : "off"; // said aloud only when something is wrong
  mark.textContent = words[state];
}

if (parts().length) {
  if (worker) {
    worker.port.onmessage = ({ data }) => {
      if (data.state) say(data.state);
      if (data.news) hear(data.news);
    };
    if (!document.hidden) watchAll();
  } else say("polling");
  // Ages and what no counter shows are renewed now and then.
  setInterval(() => Date.now() - askedAt > (worker ? 15_000 : 5_000) && renew(parts()), 1000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { watch([]); say("paused"); } else { watchAll(); renew([]); }
  });
  addEventListener("pagehide", () => watch([]));
  addEventListener("pageshow", event => { if (event.persisted) { watchAll(); renew(parts()); } });
}

// Ages, and exact times in the zone of who looks.
const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
function age() {
  for (const time of all("time[data-age]")) {
    const away = (Date.now() - Date.parse(time.dateTime)) / 1000;
    const [unit, size] = units.find(([, least]) => Math.abs(away) >= least) ?? units[3];
    const span = `${Math.round(Math.abs(away) / size)}\u00a0${unit}`, text = away < 0 ? `in ${span}` : `${span} ago`;
    if (time.textContent !== text && !isChosen(time)) time.textContent = text;
    const exact = new Date(time.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
    if (time.title !== exact) time.title = exact;
  }
}
age();
setInterval(age, 1000);

// Copying; without the clipboard of a secure page the text is selected instead.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("button[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    const { ariaLabel } = button;
    button.ariaLabel = button.textContent = "copied";
    setTimeout(() => Object.assign(button, { ariaLabel, textContent: "copy" }), 1500);
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
  }
});

// One box that ticks all the others of its form.
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-tick-all]")) for (const box of all("input[type=checkbox][name]", target.form)) box.checked = target.checked;
});

// On a narrow screen the entry of this page is brought into sight.
document.querySelector(".top [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

// Keys.
const jumps = Object.fromEntries(all("[data-key-to]").map(link => [link.dataset.keyTo, link.href]));
let afterG = false;
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const jump = afterG && jumps[event.key];
  afterG = event.key === "g";
  if (jump) location.href = jump;
  else if (event.key === "?") document.getElementById("keys")?.showModal();
  else if (event.key === "/") document.querySelector("[type=search]")?.focus();
  else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else return;
  event.preventDefault();
});
function step(by) {
  const links = all("main tbody tr, main .list > details").map(row => row.querySelector("a, summary")).filter(Boolean);
  const at = links.findIndex(link => link === document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}
