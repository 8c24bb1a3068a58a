// Web Push on this device: the browser subscribes, and the console keeps what it made.

const card = document.querySelector("[data-push]");
const state = card.querySelector("[data-push-state]");
const button = card.querySelector("[data-push-enable]");

function say(words) {
  state.textContent = words;
  state.hidden = !words;
}

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const same = (buffer, bytes) => {
  const other = new Uint8Array(buffer ?? new ArrayBuffer(0));
  return other.length === bytes.length && other.every((byte, at) => byte === bytes[at]);
};

async function digest(text) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function keep(subscription) {
  const answer = await fetch(card.dataset.push, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json",
      "X-CSRFToken": card.querySelector("[name=csrfmiddlewaretoken]").value,
    },
    body: JSON.stringify(subscription),
  });
  if (answer.ok) return;
  const type = answer.headers.get("Content-Type") ?? "";
  throw new Error(type.startsWith("application/json") ? (await answer.json()).error : "The console did not take it.");
}

const key = toBytes(card.dataset.key);

async function subscribe(registration) {
  const old = await registration.pushManager.getSubscription();
  if (old && !same(old.options?.applicationServerKey, key)) await old.unsubscribe();
  return registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
}

function mark(subscription, channel) {
  const mine = channel && document.querySelector(`[data-channel="${channel}"]`);
  if (!mine) return null;
  mine.querySelector("[data-here]").hidden = false;
  mine.querySelector("[data-remove]").addEventListener("submit", () => void subscription.unsubscribe());
  return mine;
}

async function start() {
  if (!("serviceWorker" in navigator) || !("PushManager" in window) || !("Notification" in window)) {
    say("This browser takes no notifications. On an iPhone or iPad, add this page to the home screen first.");
    return;
  }
  const registration = await navigator.serviceWorker.register(new URL("../push-worker.js", location.href));
  if (Notification.permission === "denied") {
    say("Notifications of this site are blocked. Allow them in the browser's settings of this site.");
    return;
  }
  const now = await registration.pushManager.getSubscription();
  const channel = now && (await digest(now.endpoint));
  const mine = mark(now, channel);
  // The list comes anew while the page is open.
  document.addEventListener("htmx:afterSwap", () => mark(now, channel));
  if (mine) {
    // A browser that does not say which key it has is believed: it would be asked again at each load, for ever.
    const had = now.options?.applicationServerKey;
    if (!mine.hasAttribute("data-renew") && (!had || same(had, key))) return;
    if (Notification.permission === "granted") {
      // The instance has a new key: the browser is asked again, and nobody has to press anything.
      await keep(await subscribe(registration));
      location.reload();
      return;
    }
  }
  button.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    say("");
    try {
      if ((await Notification.requestPermission()) !== "granted") {
        say("The browser was not allowed to show notifications.");
        return;
      }
      await navigator.serviceWorker.ready;
      await keep(await subscribe(registration));
      location.reload();
    } catch (failure) {
      say(`That did not work: ${failure.message}`);
    } finally {
      button.disabled = false;
    }
  });
}

start().catch((failure) => say(`That did not work: ${failure.message}`));
