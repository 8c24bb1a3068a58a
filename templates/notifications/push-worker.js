// Shows what was pushed, and leads to its page. It decides nothing: a person signs there.

const ICON = {{ icon|safe }};
// The path that this instance has on its host; / where it has the whole of it.
const HOME = new URL("./", self.location.href);

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("push", (event) => {
  let told = {};
  try {
    told = event.data?.json() ?? {};
  } catch {
    // Something else than our sender's: the browser wants to see a notification all the same.
  }
  const text = (value, other) => (typeof value === "string" && value ? value : other);
  const path = text(told.path, "/notifications/");
  event.waitUntil(
    self.registration.showNotification(text(told.title, "Tradelatch"), {
      body: text(told.body, ""),
      tag: text(told.tag, "tradelatch"),
      icon: ICON,
      badge: ICON,
      renotify: true,
      requireInteraction: told.urgent === true,
      data: { path },
    }),
  );
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  // A page of this instance, whatever the message says.
  let url = new URL("notifications/", HOME);
  try {
    const wanted = new URL((event.notification.data?.path ?? "").replace(/^\//, ""), HOME);
    if (wanted.href.startsWith(HOME.href)) url = wanted;
  } catch {
    // No address: the list of what came says more.
  }
  event.waitUntil(
    (async () => {
      const open = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
      const shown = open.find((client) => client.url === url.href) ?? open[0];
      if (!shown) return self.clients.openWindow(url.href);
      // A window that this worker does not control yet cannot be led anywhere.
      const led = shown.url === url.href ? shown : await shown.navigate(url.href).catch(() => null);
      if (!led) return self.clients.openWindow(url.href);
      return led.focus().catch(() => null);
    })(),
  );
});
