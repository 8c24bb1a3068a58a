// What a form cannot do: copy to the clipboard, and keep "2 min ago" true while the page stays open.

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
  const [past, span] = [seconds >= 0, Math.abs(seconds)];
  if (span < 10) return "just now";
  const [size, unit] =
    span < 60 ? [1, "s"] : span < 3600 ? [60, "min"] : span < 86400 ? [3600, "h"] : [86400, "d"];
  const count = Math.floor(span / size);
  const words = unit === "d" ? `${count} ${count === 1 ? "day" : "days"}` : `${count} ${unit}`;
  return past ? `${words} ago` : `in ${words}`;
}

// Older times read as a date, which does not change under the reader.
function refresh() {
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const seconds = (Date.now() - Date.parse(element.dateTime)) / 1000;
    if (Math.abs(seconds) < 86400 * 30) element.textContent = relative(seconds);
  }
}

setInterval(refresh, 15000);

// A page that shows a secret answers a form. Reload would send the form again: it loads the list instead.
const after = document.querySelector("[data-after]");
if (after) history.replaceState(null, "", after.dataset.after);
