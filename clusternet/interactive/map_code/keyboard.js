// Shortcuts. The server is told of letters and digits; what the browser does itself is done here.
const TEXT_FIELDS = "textarea, [contenteditable], input:not([type=checkbox], [type=radio], " +
  "[type=range], [type=file], [type=button])";
const OPEN_OVER_PAGE = ".q-dialog, .q-menu"; // dialogs and lists take all keys while they are open
const OWN_KEYS = "button, a, [role=slider], [role=switch], [role=button], .q-toggle, .q-slider";

export const keyboard = {
  listenToKeys() {
    document.addEventListener("keydown", (event) => this.keyDown(event));
    document.addEventListener("keyup", (event) => {
      if (event.code === "Space" && this.beforeSpace) {
        this.setTool({ tool: this.beforeSpace });
        this.beforeSpace = null;
      }
    });
  },
  keyDown(event) {
    if (!event.key) return; // a browser that fills in a field sends such events
    if (event.target.closest?.(TEXT_FIELDS) || event.altKey) return;
    if (document.querySelector(OPEN_OVER_PAGE)) return;
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (command && !["z", "y"].includes(key)) return;
    const has = event.target.closest?.(OWN_KEYS); // it does something of its own with some keys
    if (event.code === "Space") {
      if (has) return;
      event.preventDefault();
      if (!event.repeat && this.shown.tool !== "pan") {
        this.beforeSpace = this.shown.tool;
        this.setTool({ tool: "pan" });
      }
      return;
    }
    if (!has && !command && this.crosshairKey(event)) return event.preventDefault();
    if (key === "f") return this.fit();
    if (key === "+" || key === "-") return this.map.zoomIn(key === "+" ? 0.5 : -0.5);
    if (key === "z" || key === "y") event.preventDefault();
    if (/^[0-9]$|^[a-z]$|^[\[\]?,.]$|^delete$|^backspace$|^page(up|down)$/.test(key)) {
      this.$emit("key", { key, shift: event.shiftKey, command });
    }
  },
};
