// A passkey is asked for by the bar beneath; what went wrong stands beside the form, which may be far up or down.
for (const error of document.querySelectorAll("[data-passkey-error]")) {
  new MutationObserver(() => {
    if (!error.hidden) error.scrollIntoView({ block: "center" });
  }).observe(error, { attributeFilter: ["hidden"] });
}
