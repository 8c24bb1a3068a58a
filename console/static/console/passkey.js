// Passkeys: fetch what the browser is to sign, let it ask the person, send the answer with the form.

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

function decoded(publicKey) {
  publicKey.challenge = toBytes(publicKey.challenge);
  if (publicKey.user) publicKey.user.id = toBytes(publicKey.user.id);
  for (const list of [publicKey.allowCredentials, publicKey.excludeCredentials])
    for (const known of list ?? []) known.id = toBytes(known.id);
  return { publicKey };
}

// A proof is for what the form holds: the form is sent to where it goes, and a challenge bound to it comes back.
async function options(form) {
  if (form.dataset.options) return decoded(JSON.parse(form.dataset.options).publicKey);
  const url = new URL(form.action);
  const proving = form.dataset.passkey === "prove";
  if (proving) url.searchParams.append("challenge", "");
  else url.search = "?options";
  const answer = await fetch(url, {
    method: proving ? "POST" : "GET",
    headers: { Accept: "application/json" },
    body: proving ? new URLSearchParams(new FormData(form)) : undefined,
  });
  const made = answer.ok && !answer.redirected && answer.headers.get("Content-Type")?.startsWith("application/json");
  if (made) return decoded((await answer.json()).publicKey);
  // Something else is wrong with the form, or nobody is signed in any more: the page itself says so.
  if (proving) form.submit();
  else location.reload();
  return new Promise(() => {});
}

function serialized(credential) {
  const { response } = credential;
  const fields = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (response[name]) fields[name] = toText(response[name]);
  return JSON.stringify({
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: fields,
    clientExtensionResults: credential.getClientExtensionResults(),
    authenticatorAttachment: credential.authenticatorAttachment,
  });
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  if (!window.PublicKeyCredential) {
    // Sent without an answer of the browser, the form would come back as a wrong one.
    if (form.dataset.passkey !== "create") continue;
    const told = form.querySelector("[data-passkey-error]");
    told.textContent = window.isSecureContext
      ? "This browser does not support passkeys."
      : "Passkeys need https or localhost.";
    told.hidden = false;
    form.querySelector("button").disabled = true;
    continue;
  }
  form.hidden = false;
  const error = form.querySelector("[data-passkey-error]");
  const way = form.dataset.passkey === "create" ? "create" : "get";
  const answered = form.elements.namedItem("proof-credential") ?? form.elements.credential;
  form.addEventListener("submit", async (event) => {
    // I do not have my passkey: what was typed goes as it is.
    if (form.elements.namedItem("proof-code")?.value) return;
    event.preventDefault();
    error.hidden = true;
    try {
      const wanted = await options(form);
      const credential = await navigator.credentials[way](wanted);
      answered.value = serialized(credential);
      form.submit();
    } catch (failure) {
      const known = {
        NotAllowedError: "No passkey was chosen. Try again.",
        InvalidStateError: "This device already has a passkey for this account.",
        SecurityError: "Passkeys only work at the address this Tradelatch was set up with.",
      };
      error.textContent = known[failure.name] ?? "That did not work. Try again.";
      error.hidden = false;
    }
  });
}
