() => {
  // Each line of each text is measured against every box around it. A box that scrolls shows all of it; one that ends
  // in an ellipsis has to carry the whole in its title.
  const UNSEEN = ".sr-only, .skip, noscript, script, style, svg, option, select, textarea";
  const found = new Set();
  const styles = new Map();
  const styleOf = (box) => {
    if (!styles.has(box)) styles.set(box, getComputedStyle(box));
    return styles.get(box);
  };
  const note = (box, text, how) => {
    const classes = typeof box.className === "string" && box.className.trim();
    const name = box.tagName.toLowerCase() + (classes ? `.${classes.replace(/\s+/g, ".")}` : "");
    found.add(`${name}: ${text.trim().slice(0, 60)} (${how})`);
  };
  const measure = (box, line, text, clips) => {
    const edge = box.getBoundingClientRect();
    const beyond = Math.max(line.right - edge.right, edge.left - line.left);
    if (beyond > 1.5) note(box, text, `${Math.round(beyond)} px beyond it`);
    if (clips && (line.bottom > edge.bottom + 3 || line.top < edge.top - 3)) note(box, text, "cut off above or below");
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (texts.nextNode()) {
    const node = texts.currentNode;
    const parent = node.parentElement;
    if (!node.data.trim() || parent.closest(UNSEEN)) continue;
    if (!parent.checkVisibility({ visibilityProperty: true })) continue;
    range.selectNodeContents(node);
    const lines = [...range.getClientRects()].filter((line) => line.width > 0);
    for (let box = parent; box && box !== document.documentElement; box = box.parentElement) {
      const style = styleOf(box);
      if (["inline", "contents"].includes(style.display)) continue;
      if (["auto", "scroll"].includes(style.overflowX)) break;
      if (style.textOverflow === "ellipsis" && box.title) break;
      const clips = style.overflowX !== "visible" || style.overflowY !== "visible";
      for (const line of lines) measure(box, line, node.data, clips);
      if (["fixed", "absolute"].includes(style.position)) break;
    }
  }
  const fields = "select, input:not([type=hidden], [type=checkbox], [type=radio])";
  for (const field of document.querySelectorAll(fields)) {
    if (!field.checkVisibility() || field.closest(".sr-only")) continue;
    const beyond = field.getBoundingClientRect().right - field.parentElement.getBoundingClientRect().right;
    if (beyond > 1.5) note(field, field.name, "wider than what holds it");
  }
  return [...found];
}
