// The map: raster and class tiles in pixel coordinates, freehand strokes, shortcuts.
// One map unit is one pixel: lat is the row, lng the column, both growing down and right.
import { leaflet as L } from "nicegui-leaflet";

const STEP = 80; // milliseconds between two updates of a map whose tiles are loading
const TEXT_FIELDS = "textarea, [contenteditable], input:not([type=checkbox], [type=radio], " +
  "[type=range], [type=file], [type=button])";
const OPEN_OVER_PAGE = ".q-dialog, .q-menu"; // dialogs and lists take all keys while they are open

export default {
  template: `<div class="scene-map"><div ref="map" class="scene-map-canvas"></div></div>`,
  props: { scene: Object, resourcePath: String },
  async mounted() {
    await this.$nextTick(); // NiceGUI sets window.path_prefix after the first render
    await this.loadStyle(`${window.path_prefix}${this.resourcePath}/leaflet/leaflet.css`);
    const { rows, cols, max_zoom: top } = this.scene;
    // Leaflet doubles the scale with each zoom level. At max_zoom a pixel of the raster is to be
    // one of the screen, so at zoom 0 it is 1 / 2^max_zoom.
    const unit = 1 / 2 ** top;
    const crs = L.extend({}, L.CRS.Simple, {
      transformation: new L.Transformation(unit, 0, unit, 0),
    });
    this.bounds = L.latLngBounds([0, 0], [rows, cols]);
    this.map = L.map(this.$refs.map, {
      crs, minZoom: -1, maxZoom: top + 5, zoomSnap: 0.25, zoomDelta: 0.5, wheelPxPerZoomLevel: 90,
      attributionControl: false, zoomControl: false, doubleClickZoom: false, boxZoom: false,
      maxBounds: this.bounds.pad(0.6), keyboard: false, fadeAnimation: false,
    });
    L.control.zoom({ position: "bottomright" }).addTo(this.map);
    this.map.fitBounds(this.bounds);
    this.shown = { tool: "draw", brush: 12, colour: "#2ca02c", opacity: 0.6, strokesVisible: true };
    this.strokes = [];
    this.fingers = new Set();
    this.tiles = {};
    for (const [name, order] of [["classes", 250], ["doubt", 260], ["strokes", 450]]) {
      this.map.createPane(name).style.zIndex = order;
    }
    // or the strokes would catch the pointer, and the pen would not reach the map
    this.map.getPane("strokes").style.pointerEvents = "none";
    this.ink = L.canvas({ pane: "strokes", padding: 0.3 });
    this.drawn = L.layerGroup().addTo(this.map);
    this.map.on("zoomend", () => this.restyle());
    this.listen();
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
      this.$emit("ready");
    }, 50);
    window.clusternet = this; // for the console of the browser, and for tests
  },
  methods: {
    loadStyle(href) {
      return new Promise((resolve) => {
        const link = document.createElement("link");
        Object.assign(link, { rel: "stylesheet", href, onload: resolve, onerror: resolve });
        document.head.appendChild(link);
      });
    },
    // --- layers -----------------------------------------------------------------------------
    show(name, url, opacity) {
      // A layer with another address is laid over the old one. Each old tile is hidden when the
      // new one has loaded, so that the map does not flicker.
      const old = this.tiles[name];
      if (old && old.url === url) {
        this.setOpacity(name, opacity);
        return;
      }
      if (!url) {
        if (old) [old.layer, ...old.stale].forEach((each) => this.map.removeLayer(each));
        delete this.tiles[name];
        if (name === "classes") this.forgetStroke();
        return;
      }
      const layer = L.tileLayer(url, {
        tileSize: 256, minZoom: -1, maxZoom: this.scene.max_zoom + 5, minNativeZoom: 0,
        maxNativeZoom: this.scene.max_zoom, bounds: this.bounds, opacity, keepBuffer: 1,
        pane: name === "image" ? "tilePane" : name, className: `tiles-${name}`, noWrap: true,
      });
      const stale = [...(old?.stale ?? []), ...(old ? [old.layer] : [])];
      this.tiles[name] = { url, layer, stale };
      // Tiles are shown together every STEP milliseconds: without a GPU, drawing the page for
      // each tile takes longer than computing the classes.
      let loaded = [], timer = null;
      const isNewest = () => this.tiles[name]?.layer === layer;
      const reveal = () => {
        timer = null;
        if (!isNewest()) return; // a newer layer has replaced this one
        for (const { coords, tile } of loaded) {
          tile.style.visibility = "";
          for (const each of stale) {
            // private in Leaflet, which has no other way to a tile by its coordinates
            const covered = each._tiles[each._tileCoordsToKey(coords)];
            if (covered) covered.el.style.visibility = "hidden";
          }
        }
        loaded = [];
      };
      layer.on("tileload tileerror", (event) => {
        if (name === "classes" && this.penUp) this.firstTile ??= performance.now() - this.penUp;
        if (!stale.length) return;
        loaded.push(event);
        if (timer) event.tile.style.visibility = "hidden";
        else {
          reveal();
          timer = setTimeout(reveal, STEP);
        }
      });
      layer.once("load", () => {
        clearTimeout(timer);
        if (!isNewest()) return; // the newest layer removes this one as well
        reveal();
        stale.forEach((each) => this.map.removeLayer(each));
        stale.length = 0;
        if (name === "classes" && this.penUp) {
          const ms = Math.round(performance.now() - this.penUp);
          this.penUp = null;
          this.lastUpdate = ms;
          this.$emit("updated", { ms });
        }
      });
      layer.addTo(this.map);
    },
    forgetStroke() {
      // Says that no new map follows the last stroke; a later one would be timed from it.
      this.penUp = null;
    },
    setOpacity(name, opacity) {
      if (!this.tiles[name]) return;
      const { layer, stale } = this.tiles[name];
      [layer, ...stale].forEach((each) => each.setOpacity(opacity));
    },
    setTool(settings) {
      Object.assign(this.shown, settings);
      const canvas = this.$refs.map;
      canvas.dataset.tool = this.shown.tool;
      if (this.shown.tool === "pan") this.map.dragging.enable();
      else this.map.dragging.disable();
      this.showBrush(this.lastPointer);
      this.restyle();
    },
    setStrokes(strokes) {
      this.strokes = strokes;
      this.drawn.clearLayers();
      for (const stroke of strokes) {
        const common = { renderer: this.ink, interactive: false, color: stroke.colour };
        for (const coordinates of stroke.parts) {
          const layer = stroke.area
            ? L.polygon(coordinates, { ...common, fillOpacity: 0.35, weight: 2 })
            : L.polyline(coordinates.length > 1 ? coordinates : [coordinates[0], coordinates[0]], {
                ...common, lineCap: "round", lineJoin: "round", smoothFactor: 0.5 });
          layer.strokeWidth = stroke.area ? null : stroke.width;
          if (!stroke.area) {
            // A dark rim, since a stroke has the colour of the class map below it. Strokes that
            // are held back as a check are dashed, on white.
            const rim = L.polyline(layer.getLatLngs(), {
              ...layer.options, color: stroke.check ? "#fff" : "#000" });
            if (stroke.check) Object.assign(layer.options, { dashArray: "3 6", lineCap: "butt" });
            Object.assign(rim, { strokeWidth: stroke.width, isRim: true });
            this.drawn.addLayer(rim);
          }
          this.drawn.addLayer(layer);
        }
      }
      this.restyle();
    },
    restyle() {
      const scale = this.screenPixels();
      this.drawn.eachLayer((layer) => {
        const rim = layer.isRim ? 2 : 0;
        const weight = (layer.strokeWidth ? Math.max(layer.strokeWidth * scale, 2) : 2) + rim;
        const opacity = this.shown.strokesVisible ? (rim ? 0.6 : 1) : 0;
        layer.setStyle({ weight, opacity, fillOpacity: this.shown.strokesVisible ? 0.35 : 0 });
      });
    },
    screenPixels() {
      // the side of a raster pixel, in screen pixels
      return 2 ** (this.map.getZoom() - this.scene.max_zoom);
    },
    fit() {
      const bar = document.querySelector(".toolbar"); // which must not cover the scene
      const top = bar ? bar.offsetTop + bar.offsetHeight + 8 : 12;
      this.map.fitBounds(this.bounds, {
        animate: false, paddingTopLeft: [12, top], paddingBottomRight: [12, 12],
      });
    },
    goTo(row, col, height, width) {
      const box = L.latLngBounds([row, col], [row + height, col + width]);
      this.map.flyToBounds(box.pad(1.2), { duration: 0.5, maxZoom: this.scene.max_zoom + 1 });
      const frame = L.rectangle(box, { color: "#fff", weight: 3, fill: false, dashArray: "6 6",
        className: "suggestion", interactive: false }).addTo(this.map);
      setTimeout(() => this.map.removeLayer(frame), 6000);
    },
    // --- the pen ------------------------------------------------------------------------------
    listen() {
      const canvas = this.$refs.map;
      // in the capture phase: before Leaflet, which would drag the map
      canvas.addEventListener("pointerdown", (event) => this.penDown(event), true);
      window.addEventListener("pointermove", (event) => this.penMove(event));
      window.addEventListener("pointerup", (event) => this.penLift(event));
      window.addEventListener("pointercancel", (event) => this.penCancel(event));
      canvas.addEventListener("pointerleave", () => this.showBrush(null));
      canvas.addEventListener("contextmenu", (event) => event.preventDefault());
      document.addEventListener("keydown", (event) => this.keyDown(event));
      document.addEventListener("keyup", (event) => {
        if (event.code === "Space" && this.beforeSpace) {
          this.setTool({ tool: this.beforeSpace });
          this.beforeSpace = null;
        }
      });
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
    mapPoint(event) {
      return this.map.mouseEventToLatLng(event);
    },
    penDown(event) {
      const touches = event.pointerType === "touch";
      if (touches) this.fingers.add(event.pointerId);
      if (this.fingers.size > 1) return this.penDrop(); // the start of a pinch is no stroke
      if (event.target.closest(".leaflet-control")) return;
      const grab = event.button === 1 || event.button === 2;
      if (grab) {
        this.grabbed = [event.clientX, event.clientY];
        event.preventDefault();
        return;
      }
      if (this.shown.tool === "pan" || event.button !== 0) return;
      if (this.points) return; // another pointer draws
      document.activeElement?.blur();
      if (!touches) {
        event.preventDefault();
        event.stopPropagation();
      } // else the map must see both fingers of a pinch
      this.pen = event.pointerId;
      const erasing = this.shown.tool === "erase";
      this.points = [this.mapPoint(event)];
      this.line = L.polyline([this.points[0], this.points[0]], {
        renderer: this.ink, color: erasing ? "#ffffff" : this.shown.colour, lineCap: "round",
        lineJoin: "round", weight: this.shown.brush, opacity: erasing ? 0.6 : 0.9, interactive: false,
        smoothFactor: 0,
      }).addTo(this.map);
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
      const inside = this.$refs.map?.contains(event.target);
      this.showBrush(inside ? event : null);
      if (inside) this.showPosition(this.mapPoint(event));
      if (!this.points || event.pointerId !== this.pen) return;
      // browsers join pointer positions between two frames into one event
      for (const each of event.getCoalescedEvents?.() ?? [event]) {
        this.points.push(this.mapPoint(each));
      }
      this.line.setLatLngs(this.points);
    },
    penLift(event) {
      this.grabbed = null;
      this.fingers.delete(event.pointerId);
      if (!this.points || event.pointerId !== this.pen) return;
      this.points.push(this.mapPoint(event));
      // Coordinates are rounded to a tenth of a screen pixel, so that a long stroke fits into one
      // message of the socket.
      const digits = Math.max(0, Math.ceil(Math.log10(this.screenPixels())) + 1);
      const points = [];
      for (const { lng, lat } of this.points) {
        const point = [Number(lng.toFixed(digits)), Number(lat.toFixed(digits))];
        const [x, y] = points.at(-1) ?? [];
        if (point[0] !== x || point[1] !== y) points.push(point);
      }
      const line = this.line;
      this.points = this.line = null;
      this.pen = undefined;
      // by then the stroke has come back from the server
      setTimeout(() => this.map.removeLayer(line), 400);
      this.penUp = performance.now();
      this.firstTile = null;
      this.$emit("stroke", {
        points, width: this.shown.brush / this.screenPixels(), erase: this.shown.tool === "erase",
      });
    },
    penCancel(event) {
      this.fingers.delete(event.pointerId);
      this.penDrop();
    },
    penDrop() {
      if (this.line) this.map.removeLayer(this.line);
      this.points = this.line = this.grabbed = null;
      this.pen = undefined;
    },
    showBrush(event) {
      if (!this.brushMark) {
        this.brushMark = document.createElement("div");
        this.brushMark.className = "brush-mark";
        this.$el.appendChild(this.brushMark);
      }
      const on = event && this.shown.tool !== "pan";
      this.brushMark.style.display = on ? "block" : "none";
      if (!on) return;
      const box = this.$el.getBoundingClientRect();
      const size = this.shown.brush;
      Object.assign(this.brushMark.style, {
        width: `${size}px`, height: `${size}px`, left: `${event.clientX - box.left - size / 2}px`,
        top: `${event.clientY - box.top - size / 2}px`,
        borderColor: this.shown.tool === "erase" ? "#fff" : this.shown.colour,
      });
    },
    showPosition(point) {
      const target = document.getElementById("position");
      if (!target) return;
      target.closest(".status").classList.add("filled");
      const [a, b, c, d, e, f] = this.scene.transform;
      const { lat: row, lng: col } = point;
      const digits = this.scene.degrees ? 6 : 1;
      const pixel = `row ${Math.floor(row)}, col ${Math.floor(col)}`;
      const x = (a * col + b * row + c).toFixed(digits);
      const y = (d * col + e * row + f).toFixed(digits);
      target.textContent = this.scene.georeferenced ? `${x}, ${y}  ·  ${pixel}` : pixel;
    },
    keyDown(event) {
      if (event.target.closest?.(TEXT_FIELDS) || event.altKey) return;
      if (document.querySelector(OPEN_OVER_PAGE)) return;
      const command = event.ctrlKey || event.metaKey;
      const key = event.key.toLowerCase();
      if (command && !["z", "y"].includes(key)) return;
      if (event.code === "Space") {
        event.preventDefault();
        if (!event.repeat && this.shown.tool !== "pan") {
          this.beforeSpace = this.shown.tool;
          this.setTool({ tool: "pan" });
        }
        return;
      }
      if (key === "f") return this.fit();
      if (key === "z" || key === "y") event.preventDefault();
      if (/^[0-9]$|^[a-z]$|^[\[\]?]$/.test(key)) {
        this.$emit("key", { key, shift: event.shiftKey, command });
      }
    },
  },
};
