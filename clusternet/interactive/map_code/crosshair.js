// A crosshair that the arrow keys move: it does what the pointer does.
const STEP = 16, FINE = 2; // screen pixels a key press
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const EDGE = 40; // screen pixels from the border at which the map moves along
const MOST_WAIT = 2000; // milliseconds that the next move of a stroke waits for the one before

export const crosshair = {
  crosshairKey(event) {
    // Returns true if the key was used.
    const tool = this.tool();
    const arrow = ARROWS[event.key];
    if (arrow) {
      const step = event.shiftKey ? FINE : STEP;
      const by = arrow.map((each) => each * step);
      if (this.shown.tool === "pan") this.map.panBy(by, { animate: false });
      else if (this.shown.tool === "pick" && this.picked !== null) this.movePicked(by);
      else this.moveCrosshair(by);
      return true;
    }
    if (event.key === "Escape") {
      const drops = this.points || this.corners?.length || this.crosshairAt || this.picked !== null;
      this.penDrop();
      this.hideCrosshair();
      if (this.picked !== null) {
        this.$emit("pick", { key: null });
        this.picked = this.ahead = null;
        this.showPicked(0, 0);
      }
      if (!drops) this.$emit("key", { key: "escape", shift: false, command: false });
      return true;
    }
    if (event.key === "Backspace" && this.corners?.length) {
      tool.stepBack?.(this);
      return true;
    }
    if (event.key !== "Enter" || !tool) return false;
    if (!this.crosshairAt) {
      if (this.corners?.length && tool.finish) tool.finish(this); // corners placed by the mouse
      else this.moveCrosshair([0, 0]);
      return true;
    }
    if (this.points) this.toolEnd(this.crosshairAt);
    else {
      this.toolBegin(this.crosshairAt);
      if (tool.taps || this.shown.tool === "pick") this.toolEnd(this.crosshairAt);
    }
    return true;
  },
  moveCrosshair([x, y]) {
    const size = this.map.getSize();
    const from = this.crosshairAt
      ? this.map.latLngToContainerPoint(this.crosshairAt) : size.divideBy(2);
    const to = from.add([x, y]);
    const over = (at, most) => Math.min(at - EDGE, 0) || Math.max(at - most + EDGE, 0);
    const beyond = [over(to.x, size.x), over(to.y, size.y)];
    const point = this.map.containerPointToLatLng(to);
    if (beyond[0] || beyond[1]) this.map.panBy(beyond, { animate: false });
    this.placeCrosshair(point);
    this.showPosition(point);
    if (this.points) this.toolDrag([point]);
    else this.tool()?.hover?.(this, point);
  },
  placeCrosshair(point) {
    this.crosshairAt = point;
    if (!this.crosshairMark) {
      this.crosshairMark = document.createElement("div");
      this.crosshairMark.className = "crosshair";
      this.$el.appendChild(this.crosshairMark);
      this.map.on("move zoom", () => this.crosshairAt && this.placeCrosshair(this.crosshairAt));
    }
    const { x, y } = this.map.latLngToContainerPoint(point);
    Object.assign(this.crosshairMark.style, { display: "block", left: `${x}px`, top: `${y}px` });
  },
  hideCrosshair() {
    this.crosshairAt = null;
    if (this.crosshairMark) this.crosshairMark.style.display = "none";
  },
  movePicked([x, y]) {
    // A key that is held down comes faster than maps are computed: its steps are added up until
    // the stroke is back from the server.
    const scale = this.screenPixels(), [rows, cols] = this.ahead ?? [0, 0];
    this.ahead = [rows + y / scale / 4, cols + x / scale / 4];
    this.showPicked(...this.ahead);
    if (!this.movedAt || performance.now() - this.movedAt > MOST_WAIT) this.moveOn();
  },
  moveOn() {
    const { ahead } = this;
    this.movedAt = this.ahead = null;
    if (ahead && this.picked !== null) this.sendMove(...ahead);
  },
  sendMove(rows, cols) {
    this.movedAt = performance.now();
    this.showPicked(rows, cols);
    this.$emit("move", { key: this.pickedKey(), rows, cols });
  },
};
