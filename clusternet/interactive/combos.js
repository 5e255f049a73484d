// Shortcuts with Ctrl or Alt. NiceGUI's emitEvent tells the server of them.
document.addEventListener("keydown", (event) => {
  if (!event.key) return; // a browser that fills in a field sends such events
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const isCombo =
    (command && !event.altKey && ["s", "o"].includes(key)) ||
    (event.altKey && !command && ["arrowup", "arrowdown"].includes(key));
  if (!isCombo) return;
  event.preventDefault(); // a browser would save the page, or open a file in its place
  if (!document.querySelector(".q-dialog, .q-menu")) emitEvent("combo", { key });
});
