// "/" goes to the search box, Ctrl-K opens it over the page; what is found appears while one types.

const box = document.getElementById("search");
const typing = (element) => element.closest("input, select, textarea, [contenteditable]");

function palette() {
  const dialog = document.createElement("dialog");
  dialog.className = "palette";
  dialog.setAttribute("aria-label", "Search");
  const form = box.form.cloneNode(true);
  const [label, input] = [form.querySelector("label"), form.querySelector("input")];
  form.className = "";
  label.htmlFor = input.id = "palette-search";
  input.value = "";
  const found = document.createElement("div");
  found.setAttribute("aria-live", "polite");
  dialog.append(form, found);
  document.body.append(dialog);
  let timer, latest = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const number = (latest += 1);
      const answer = await fetch(`${form.action}?part=1&q=${encodeURIComponent(input.value)}`);
      if (number === latest && answer.ok && !answer.redirected) found.innerHTML = await answer.text();
    }, 180);
  });
  dialog.addEventListener("keydown", (event) => {
    const links = [...found.querySelectorAll("a")];
    const at = links.findIndex((link) => link.classList.contains("chosen"));
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!links.length) return;
      links[at]?.classList.remove("chosen");
      const next = links[(at + (event.key === "ArrowDown" ? 1 : links.length - (at < 0 ? 0 : 1))) % links.length];
      next.classList.add("chosen");
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      links[at].click();
    }
  });
  return dialog;
}

let opened;
if (box) {
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey) {
      event.preventDefault();
      opened ??= palette();
      if (!opened.open) opened.showModal();
      opened.querySelector("input").select();
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target)) {
      event.preventDefault();
      box.focus();
    }
  });
}
