// The pointer: mouse, pen or finger. Hands positions to the tool in use.
import { TOOLS } from "./tools.js";

export const pen = {
  setTool(settings) {
    if (settings.tool && settings.tool !== this.shown.tool) this.penDrop();
    Object.assign(this.shown, settings);
    const { tool } = this.shown;
    for (const canvas of [this.$refs.map, this.$refs.twin]) canvas.dataset.tool = tool;
    if (tool === "pan") this.map.dragging.enable();
    else this.map.dragging.disable();
    if (tool !== "superpixel") this.hideSuperpixels();
    else this.showSuperpixels();
    this.showBrush(this.lastPointer);
    this.restyle();
  },
  tool() {
    return TOOLS[this.shown.tool];
  },
  // --- what tools are told ----------------------------------------------------------------------
  toolBegin(point) {
    this.points = [point];
    this.tool().begin?.(this, point);
  },
  toolDrag(points) {
    this.points.push(...points);
    this.tool().drag?.(this);
  },
  toolEnd(point) {
    const points = [...this.points, point];
    this.points = null;
    this.tool().end(this, points);
  },
  penDrop() {
    this.points = this.grabbed = null;
    this.pen = undefined;
    this.tool()?.drop?.(this);
  },
  // --- the pointer ------------------------------------------------------------------------------
  listen() {
    // in the capture phase: before Leaflet, which would drag the map
    for (const canvas of [this.$refs.map, this.$refs.twin]) {
      canvas.addEventListener("pointerdown", (event) => this.penDown(event), true);
      canvas.addEventListener("pointerleave", () => this.showBrush(null));
      canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    }
    window.addEventListener("pointermove", (event) => this.penMove(event));
    window.addEventListener("pointerup", (event) => this.penLift(event));
    window.addEventListener("pointercancel", (event) => this.penCancel(event));
    for (const kind of ["dragover", "drop"]) {
      window.addEventListener(kind, (event) => this.takeFile(event));
    }
    this.setTool({});
  },
  takeFile(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault(); // a browser would leave the page and show the file
    const input = document.querySelector(".q-uploader input[type=file]");
    if (event.type !== "drop" || !input) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  },
  canvasOf(event) {
    return [this.$refs.map, this.$refs.twin].find((each) => each?.contains(event.target));
  },
  mapPoint(event) {
    // Both canvases have the same size and show the same part of the scene.
    const box = (this.canvasOf(event) ?? this.$refs.map).getBoundingClientRect();
    return this.map.containerPointToLatLng([event.clientX - box.left, event.clientY - box.top]);
  },
  penDown(event) {
    const touches = event.pointerType === "touch";
    if (touches) this.fingers.add(event.pointerId);
    if (this.fingers.size > 1) return this.penDrop(); // the start of a pinch is no stroke
    if (event.target.closest(".leaflet-control")) return;
    const pans = this.shown.tool === "pan";
    const inTwin = this.$refs.twin.contains(event.target);
    if (event.button === 1 || event.button === 2 || (pans && inTwin)) {
      this.grabbed = [event.clientX, event.clientY];
      event.preventDefault();
      return;
    }
    if (pans || event.button !== 0) return;
    if (this.points) return; // another pointer draws
    document.activeElement?.blur();
    if (!touches) {
      event.preventDefault();
      event.stopPropagation();
    } // else the map must see both fingers of a pinch
    this.pen = event.pointerId;
    this.hideCrosshair();
    this.toolBegin(this.mapPoint(event));
  },
  penMove(event) {
    if (!this.map) return;
    this.lastPointer = event;
    if (this.grabbed) {
      const [x, y] = this.grabbed;
      this.map.panBy([x - event.clientX, y - event.clientY], { animate: false });
      this.grabbed = [event.clientX, event.clientY];
      return;
    }
    const inside = this.canvasOf(event);
    this.showBrush(inside ? event : null);
    if (inside) this.showPosition(this.mapPoint(event));
    if (!this.points) {
      if (inside) this.tool()?.hover?.(this, this.mapPoint(event));
      return;
    }
    if (event.pointerId !== this.pen) return;
    // browsers join pointer positions between two frames into one event
    const events = event.getCoalescedEvents?.() ?? [event];
    const target = event.target; // which coalesced events may lack
    this.toolDrag(events.map(({ clientX, clientY }) => this.mapPoint({ clientX, clientY, target })));
  },
  penLift(event) {
    this.grabbed = null;
    this.fingers.delete(event.pointerId);
    if (!this.points || event.pointerId !== this.pen) return;
    this.pen = undefined;
    this.toolEnd(this.mapPoint(event));
  },
  penCancel(event) {
    this.fingers.delete(event.pointerId);
    this.penDrop();
  },
  showBrush(event) {
    if (!this.brushMark) {
      this.brushMark = document.createElement("div");
      this.brushMark.className = "brush-mark";
      this.$el.appendChild(this.brushMark);
    }
    const on = event && this.tool()?.usesBrush;
    this.brushMark.style.display = on ? "block" : "none";
    this.showTwinMark(event);
    if (!on) return;
    const box = this.$el.getBoundingClientRect();
    const size = this.shown.brush;
    Object.assign(this.brushMark.style, {
      width: `${size}px`, height: `${size}px`, left: `${event.clientX - box.left - size / 2}px`,
      top: `${event.clientY - box.top - size / 2}px`,
      borderColor: this.shown.tool === "erase" ? "#fff" : this.shown.colour,
    });
  },
};
