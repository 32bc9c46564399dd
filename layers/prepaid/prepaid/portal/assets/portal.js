// What the page does better with a script; everything works without it.
for (const field of document.querySelectorAll("[data-code]")) {
  field.addEventListener("input", () => {
    field.value = field.value.replace(/[^0-9]/g, "").slice(0, 6);
  });
}
// What is typed is masked, because others may look on; who types may want to see it.
for (const button of document.querySelectorAll("[data-show]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", document.getElementById(button.dataset.show).classList.toggle("shown"));
  });
}
// A second click would send a form twice: the second response would replace the first.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
// Back from another site restores the page as it was left, with its form marked as sent.
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-once]")) delete form.dataset.sent;
});
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.value);
    } catch {
      // The clipboard is closed to this page: what is selected can be copied by hand.
      field.select();
      return;
    }
    document.getElementById(`${field.id}-copied`).textContent = button.textContent = button.dataset.done;
  });
}
// A payment is confirmed elsewhere. Look for it while somebody watches, for an hour and ever more rarely.
const FIRST_WAIT = 3_000, LONGEST_WAIT = 30_000, GROWTH = 1.3, HOUR = 3_600_000;
for (const watched of document.querySelectorAll("[data-watch]")) {
  const end = Date.now() + HOUR;
  let wait = FIRST_WAIT;
  const look = async () => {
    if (Date.now() > end) return;
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      const response = await fetch(watched.dataset.watch);
      const over = response.status === 401;
      if (over || (response.ok && (await response.json()).state !== watched.dataset.state)) {
        location.reload();
        return;
      }
    } catch {
      // No network just now.
    }
    wait = Math.min(wait * GROWTH, LONGEST_WAIT);
    setTimeout(look, wait);
  };
  setTimeout(look, wait);
}
// Printing needs a script; without one, the browser's own menu prints.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
