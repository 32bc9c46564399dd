// What the page does better with a script; everything works without it.
for (const field of document.querySelectorAll("[data-code]")) {
  field.addEventListener("input", () => {
    field.value = field.value.replace(/[^0-9]/g, "").slice(0, 6);
  });
}
// A second click would send a form twice: the second answer would replace the first.
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
// Printing needs a script; without one, the browser's own menu prints.
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}
