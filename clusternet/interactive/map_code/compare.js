// The image beside its classes: a divider that is swiped, or two maps side by side.
import { WholeMap } from "./zoom.js";

const ABOVE = ["classes", "doubt"]; // panes that only one side shows
const STEP = 0.02; // of the width, a key press

export const compare = {
  setCompare(mode) {
    this.compare = mode;
    this.$el.dataset.compare = mode;
    if (mode === "side") this.makeTwin();
    else this.removeTwin();
    this.map.invalidateSize({ pan: true });
    if (mode === "side") this.followMap();
    this.swipeAt ??= 0.5;
    this.clip();
    if (mode === "swipe") this.$refs.divider.focus({ preventScroll: true });
  },
  // --- the divider ------------------------------------------------------------------------------
  listenToDivider() {
    const divider = this.$refs.divider;
    divider.addEventListener("pointerdown", (event) => {
      divider.setPointerCapture(event.pointerId);
      event.preventDefault();
      divider.focus({ preventScroll: true });
    });
    divider.addEventListener("pointermove", (event) => {
      if (!divider.hasPointerCapture(event.pointerId)) return;
      const box = this.$el.getBoundingClientRect();
      this.swipeTo((event.clientX - box.left) / box.width);
    });
    divider.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
      if (event.key === "Escape") divider.blur();
      if (!by) return;
      event.preventDefault();
      this.swipeTo(this.swipeAt + by);
    });
    this.map.on("move zoom viewreset resize", () => this.clip());
  },
  swipeTo(share) {
    this.swipeAt = Math.min(Math.max(share, 0), 1);
    this.clip();
  },
  clip() {
    const size = this.map.getSize(), x = Math.round(size.x * this.swipeAt);
    const divider = this.$refs.divider;
    divider.style.left = `${x}px`;
    divider.setAttribute("aria-valuenow", Math.round(100 * this.swipeAt));
    const from = this.map.containerPointToLayerPoint([x, 0]);
    const to = this.map.containerPointToLayerPoint(size);
    // Panes have no size of their own: the polygon is in pixels from where they begin.
    const right = [[from.x, from.y], [to.x, from.y], [to.x, to.y], [from.x, to.y]]
      .map(([left, top]) => `${left}px ${top}px`).join(", ");
    for (const name of ABOVE) {
      const { style } = this.map.getPane(name);
      style.clipPath = this.compare === "swipe" ? `polygon(${right})` : "";
      style.display = this.compare === "side" ? "none" : "";
    }
  },
  // --- two maps ---------------------------------------------------------------------------------
  makeTwin() {
    if (this.twin) return;
    this.twin = new WholeMap(this.$refs.twin, {
      crs: this.map.options.crs, minZoom: -1, maxZoom: this.map.options.maxZoom, zoomSnap: 0,
      attributionControl: false, zoomControl: false, doubleClickZoom: false, boxZoom: false,
      keyboard: false, dragging: false, scrollWheelZoom: false, touchZoom: false,
      fadeAnimation: false, zoomAnimation: false,
    });
    for (const [name, order] of this.panes) this.twin.createPane(name).style.zIndex = order;
    this.twinLayers = {};
    this.followMap = () => {
      this.twin?.invalidateSize({ pan: false });
      this.twin?.setView(this.map.getCenter(), this.map.getZoom(), { animate: false });
    };
    this.followMap();
    this.map.on("move zoomend resize", this.followMap);
    for (const [name, { url, layer }] of Object.entries(this.tiles)) {
      this.showInTwin(name, url, layer.options.opacity);
    }
  },
  removeTwin() {
    if (!this.twin) return;
    this.map.off("move zoomend resize", this.followMap);
    this.twin.remove();
    this.twin = this.twinLayers = null;
  },
  showInTwin(name, url, opacity) {
    if (!this.twin) return;
    const old = this.twinLayers[name];
    if (old?.url === url) return old.layer.setOpacity(opacity);
    const stale = old ? [...old.stale, old.layer] : [];
    delete this.twinLayers[name];
    if (!url) return stale.forEach((each) => this.twin.removeLayer(each));
    const layer = this.tileLayer(name, url, opacity);
    this.twinLayers[name] = { url, layer, stale };
    layer.once("load", () => {
      if (this.twinLayers?.[name]?.layer !== layer) return; // the newest one removes this as well
      stale.forEach((each) => this.twin.removeLayer(each));
      stale.length = 0;
    });
    layer.addTo(this.twin);
  },
  zoomByTwin(event) {
    // The wheel over the second map turns that of the first one.
    event.preventDefault();
    const away = this.$refs.twin.getBoundingClientRect().left -
      this.$refs.map.getBoundingClientRect().left;
    this.$refs.map.dispatchEvent(new WheelEvent("wheel", {
      deltaY: event.deltaY, deltaMode: event.deltaMode, clientX: event.clientX - away,
      clientY: event.clientY, bubbles: true, cancelable: true,
    }));
  },
  showTwinMark(event) {
    // Marks in the other map where the pointer is.
    const mark = this.$refs.mark, canvas = event && this.canvasOf(event);
    const on = this.compare === "side" && canvas;
    mark.style.display = on ? "block" : "none";
    if (!on) return;
    const other = canvas === this.$refs.map ? this.$refs.twin : this.$refs.map;
    const [here, there, all] = [canvas, other, this.$el].map((each) => each.getBoundingClientRect());
    mark.style.left = `${event.clientX - here.left + there.left - all.left}px`;
    mark.style.top = `${event.clientY - all.top}px`;
  },
};
