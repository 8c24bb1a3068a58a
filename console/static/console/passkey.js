// Passkeys: fetch what the browser is to sign, let it ask the person, send the answer with the form.

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

async function options(form) {
  const url = new URL(form.action);
  url.search = "?options";
  const answer = await fetch(url, { headers: { Accept: "application/json" } });
  // Asked to prove presence again, or signed out meanwhile: the page itself says so.
  if (answer.redirected || !answer.ok) {
    location.reload();
    return new Promise(() => {});
  }
  const { publicKey } = await answer.json();
  publicKey.challenge = toBytes(publicKey.challenge);
  if (publicKey.user) publicKey.user.id = toBytes(publicKey.user.id);
  for (const list of [publicKey.allowCredentials, publicKey.excludeCredentials])
    for (const known of list ?? []) known.id = toBytes(known.id);
  return { publicKey };
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
      ? "This browser has no passkeys."
      : "Passkeys need https or localhost, and this page came by neither.";
    told.hidden = false;
    form.querySelector("button").disabled = true;
    continue;
  }
  form.hidden = false;
  const error = form.querySelector("[data-passkey-error]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    error.hidden = true;
    try {
      const wanted = await options(form);
      const credential = await navigator.credentials[form.dataset.passkey](wanted);
      form.elements.credential.value = serialized(credential);
      form.submit();
    } catch (failure) {
      const known = {
        NotAllowedError: "Nothing was chosen. Try again when you are ready.",
        InvalidStateError: "This device has a passkey for this account already.",
        SecurityError: "Passkeys work only under the address this Tradelatch was set up with.",
      };
      error.textContent = known[failure.name] ?? "That did not work. Try again.";
      error.hidden = false;
    }
  });
}
