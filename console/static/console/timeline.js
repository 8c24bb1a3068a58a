// Opens an entry beneath its line, loads the counts when asked, and pauses the look for new entries.

async function part(address) {
  const url = new URL(address, location.href);
  url.searchParams.set("part", "1");
  const answer = await fetch(url);
  if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
  return answer.text();
}

function copies(element) {
  if (!navigator.clipboard) return;
  for (const button of element.querySelectorAll("[data-copy]")) {
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.parentElement.firstElementChild.textContent.trim());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = label), 1600);
    });
  }
}

const list = document.querySelector(".entries");
list?.addEventListener("click", async (event) => {
  const link = event.target.closest("li:not(.drawer) > a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const row = link.parentElement;
  if (row.nextElementSibling?.classList.contains("drawer")) {
    row.nextElementSibling.remove();
    link.setAttribute("aria-expanded", "false");
    return;
  }
  try {
    const drawer = document.createElement("li");
    drawer.className = "drawer";
    drawer.innerHTML = await part(link.href);
    row.after(drawer);
    link.setAttribute("aria-expanded", "true");
    copies(drawer);
  } catch {
    location.assign(link.href);
  }
});

const counts = document.querySelector("[data-counts]");
counts?.addEventListener("toggle", async () => {
  if (!counts.open || counts.dataset.loaded) return;
  counts.dataset.loaded = "1";
  counts.querySelector("[data-into]").innerHTML = await part(counts.dataset.counts);
});

const [live, pause] = [document.querySelector("[data-live][hx-get]"), document.querySelector("[data-pause]")];
if (live && pause) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
  });
  live.addEventListener("htmx:beforeRequest", (event) => {
    if (pause.getAttribute("aria-pressed") === "true") event.preventDefault();
  });
}
