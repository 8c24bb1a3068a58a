// What a form cannot do: copy to the clipboard, and keep "2 min ago" true while the page stays open.

// The first time somebody signs in, the pages take their time zone from this (console/accounts/time_zones.py).
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone) document.cookie = `time_zone=${zone}; path=/; max-age=31536000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.parentElement.firstElementChild.textContent.trim());
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1600);
  });
}

function relative(seconds) {
  if (Math.abs(seconds) < 10) return "just now";
  const [past, span] = seconds >= 0 ? [true, seconds] : [false, -seconds * 1.02];
  const [size, unit] =
    span < 60 ? [1, "s"] : span < 3600 ? [60, "min"] : span < 86400 ? [3600, "h"] : [86400, "d"];
  const count = Math.floor(span / size);
  const words = unit === "d" ? `${count} ${count === 1 ? "day" : "days"}` : `${count} ${unit}`;
  return past ? `${words} ago` : `in ${words}`;
}

// Older times read as a date, which does not change under the reader.
function refresh() {
  for (const element of document.querySelectorAll("time[data-relative], time:not([title])")) {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    if (Math.abs(seconds) < 86400 * 30) element.textContent = relative(seconds);
  }
}

setInterval(refresh, 15000);

// Times in long lists come without their exact one.
document.addEventListener("pointerover", ({ target }) => {
  if (!target.matches("time:not([title])")) return;
  target.title = `${target.getAttribute("datetime").replace("T", " ").replace("Z", "")} UTC`;
  target.dataset.relative = "";
});

// A page that shows a secret answers a form. Reload would send the form again: it loads the list instead.
const after = document.querySelector("[data-after]");
if (after) history.replaceState(null, "", after.dataset.after);

// Pages ask again what waits for approval: often while somebody looks, seldom in a hidden tab.
const tell = (name) => document.body.dispatchEvent(new Event(name));
let ticks = 0;
setInterval(() => {
  ticks += 1;
  if (!document.hidden || ticks % 4 === 0) tell("look");
  if (!document.hidden && ticks % 2 === 0) tell("look-closely");
}, 4000);
document.addEventListener("visibilitychange", () => document.hidden || tell("look"));

const titled = document.title.replace(/^\(\d+\) /, "");
document.addEventListener("htmx:beforeSwap", (event) => {
  // Signed out meanwhile: the page itself leads to the sign-in.
  if (!new URL(event.detail.xhr.responseURL).pathname.endsWith("/sign-in/")) return;
  event.detail.shouldSwap = false;
  location.reload();
});
document.addEventListener("htmx:afterSwap", (event) => {
  const waiting = document.getElementById("waiting");
  if (!waiting) return;
  const count = Number(waiting.dataset.count);
  document.title = count ? `(${count}) ${titled}` : titled;
  for (const badge of document.querySelectorAll("[data-waiting]")) {
    badge.hidden = count === 0;
    badge.textContent = count || "";
    if (!count) continue;
    const words = document.createElement("span");
    words.className = "sr-only";
    words.textContent = " waiting";
    badge.append(words);
  }
  if (event.detail.requestConfig?.path.includes("/orders/waiting/")) tell("news");
});

// The seconds that are left, from when the page came: this computer's own clock may be wrong.
const countdown = document.querySelector("[data-seconds]");
if (countdown) {
  const ends = performance.now() + Number(countdown.dataset.seconds) * 1000;
  const left = countdown.querySelector("[data-left]");
  const timer = setInterval(() => {
    const seconds = Math.max(0, Math.ceil((ends - performance.now()) / 1000));
    const minutes = Math.floor(seconds / 60);
    left.textContent = seconds < 60 ? `${seconds} s left`
      : minutes < 60 ? `${minutes} min ${seconds % 60} s left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
    countdown.classList.toggle("countdown-soon", seconds <= 20);
    if (seconds > 0) return;
    clearInterval(timer);
    location.reload();
  }, 1000);
}
