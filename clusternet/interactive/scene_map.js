// The map: raster and class tiles in pixel coordinates, tools, shortcuts. Its parts are in map_code.
// One map unit is one pixel: lat is the row, lng the column, both growing down and right.
import { leaflet as L } from "nicegui-leaflet";
import * as code from "clusternet-map";

const { WholeMap, ...topics } = code;
const PANES = [["backdrop", 240], ["classes", 250], ["doubt", 260], ["outlines", 300],
  ["strokes", 450], ["picked", 460]];

export default {
  template: `
    <div class="scene-map">
      <div ref="map" class="scene-map-canvas"></div>
      <div ref="twin" class="scene-map-canvas twin"></div>
      <div ref="divider" class="divider-handle" tabindex="0" role="slider" aria-valuemin="0"
        aria-valuemax="100" aria-label="Divider between image and classes"></div>
      <div ref="mark" class="twin-mark"></div>
    </div>`,
  props: { scene: Object, resourcePath: String },
  async mounted() {
    await this.$nextTick(); // NiceGUI sets window.path_prefix after the first render
    await this.loadStyle(`${window.path_prefix}${this.resourcePath}/leaflet/leaflet.css`);
    const { rows, cols, max_zoom: top } = this.scene;
    this.bounds = L.latLngBounds([0, 0], [rows, cols]);
    this.panes = PANES;
    this.map = new WholeMap(this.$refs.map, {
      crs: this.makeCrs(), minZoom: -1, maxZoom: top + 5, zoomSnap: 0.25, zoomDelta: 0.5,
      wheelPxPerZoomLevel: 90, attributionControl: false, zoomControl: false,
      doubleClickZoom: false, boxZoom: false, maxBounds: this.bounds.pad(0.6), keyboard: false,
      fadeAnimation: false,
    });
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    this.addScaleBar();
    this.map.fitBounds(this.bounds);
    this.shown = { tool: "draw", brush: 12, colour: "#2ca02c", opacity: 0.6, strokesVisible: true };
    this.compare = "none";
    this.swipeAt = 0.5;
    this.strokes = [];
    this.picked = null;
    this.fingers = new Set();
    this.tiles = {};
    for (const [name, order] of PANES) this.map.createPane(name).style.zIndex = order;
    // or they would catch the pointer, and the pen would not reach the map
    for (const name of ["outlines", "strokes", "picked"]) {
      this.map.getPane(name).style.pointerEvents = "none";
    }
    this.ink = L.canvas({ pane: "strokes", padding: 0.3 });
    this.drawn = L.layerGroup().addTo(this.map);
    this.map.on("zoomend", () => this.restyle());
    this.map.on("moveend", () => this.shown.tool === "superpixel" && this.showSuperpixels());
    this.$refs.twin.addEventListener("wheel", (event) => this.zoomByTwin(event));
    this.listen();
    this.listenToKeys();
    this.listenToDivider();
    // The element has no size when Leaflet starts, so the scene is fitted into it at the first
    // resize.
    let first = true;
    new ResizeObserver(() => {
      this.map.invalidateSize({ pan: !first });
      if (first) this.fit();
      first = false;
    }).observe(this.$el);
    // Events emitted before NiceGUI has its socket would be lost.
    const waiting = setInterval(() => {
      if (window.socket?.id === undefined) return;
      clearInterval(waiting);
      this.$emit("ready", { theme: localStorage.getItem("clusternet-theme") });
    }, 50);
    window.clusternet = this; // for the console of the browser, and for tests
  },
  methods: {
    ...Object.assign({}, ...Object.values(topics)),
    loadStyle(href) {
      return new Promise((resolve) => {
        const link = document.createElement("link");
        Object.assign(link, { rel: "stylesheet", href, onload: resolve, onerror: resolve });
        document.head.appendChild(link);
      });
    },
  },
};
