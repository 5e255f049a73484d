// Zoom levels, the whole scene, places to go to, the scale bar.
import { leaflet as L } from "nicegui-leaflet";

// The side of a tile, in screen pixels, at each zoom level between two powers of two. Tiles that
// begin and end between two pixels would show seams. Multiples of four stay whole on screens
// with 1.25, 1.5 or 1.75 pixels to one of the style sheet.
const SIDES = [256, 304, 360, 428, 512];

export function wholeZoom(zoom) {
  const below = Math.floor(zoom + 1e-9);
  const away = (side) => Math.abs(below + Math.log2(side / 256) - zoom);
  const side = SIDES.reduce((best, each) => (away(each) < away(best) ? each : best));
  return below + Math.log2(side / 256);
}

export const WholeMap = L.Map.extend({
  // private in Leaflet; all that sets a zoom level asks it
  _limitZoom(zoom) {
    const limited = L.Map.prototype._limitZoom.call(this, zoom);
    return Math.min(this.getMaxZoom(), wholeZoom(limited));
  },
});

const ScaleBar = L.Control.Scale.extend({
  _updateMetric(longest) {
    const { unit } = this.options;
    const [factor, name] = unit !== "m" ? [1, unit] : longest >= 1000 ? [1000, "km"]
      : longest >= 1 ? [1, "m"] : [0.01, "cm"];
    const length = this._getRoundNum(longest / factor);
    this._updateScale(this._mScale, `${length} ${name}`, (length * factor) / longest);
  },
});

export const zoom = {
  makeCrs() {
    // Leaflet doubles the scale with each zoom level. At max_zoom a pixel of the raster is to be
    // one of the screen, so at zoom 0 it is 1 / 2^max_zoom.
    const unit = 1 / 2 ** this.scene.max_zoom;
    const { pixel_metres: metres } = this.scene;
    return L.extend({}, L.CRS.Simple, {
      transformation: new L.Transformation(unit, 0, unit, 0),
      distance: (a, b) => Math.hypot(a.lng - b.lng, a.lat - b.lat) * (metres ?? 1),
    });
  },
  addScaleBar() {
    const unit = this.scene.pixel_metres ? "m" : "px";
    new ScaleBar({ position: "bottomright", imperial: false, maxWidth: 120, unit }).addTo(this.map);
  },
  screenPixels() {
    // the side of a raster pixel, in screen pixels
    return 2 ** (this.map.getZoom() - this.scene.max_zoom);
  },
  fit() {
    const bar = document.querySelector(".toolbar"); // which must not cover the scene
    const top = bar ? bar.offsetTop + bar.offsetHeight + 8 : 12;
    const tools = document.querySelector(".tools");
    const left = tools ? tools.offsetLeft + tools.offsetWidth + 8 : 12;
    this.map.fitBounds(this.bounds, {
      animate: false, paddingTopLeft: [left, top], paddingBottomRight: [12, 12],
    });
  },
  goTo(row, col, height, width) {
    const box = L.latLngBounds([row, col], [row + height, col + width]);
    const zoom = Math.min(this.map.getBoundsZoom(box.pad(1.2)), this.scene.max_zoom + 1);
    this.map.flyTo(box.getCenter(), wholeZoom(zoom), { duration: 0.5 });
    const frame = L.rectangle(box, { color: "#fff", weight: 3, fill: false, dashArray: "6 6",
      className: "suggestion", interactive: false }).addTo(this.map);
    setTimeout(() => this.map.removeLayer(frame), 6000);
  },
  goToPixel(row, col) {
    const zoom = Math.max(this.map.getZoom(), this.scene.max_zoom);
    this.map.setView([row, col], zoom, { animate: false });
    const mark = L.circleMarker([row, col], { radius: 12, color: "#fff", weight: 3, fill: false,
      className: "suggestion", interactive: false }).addTo(this.map);
    setTimeout(() => this.map.removeLayer(mark), 6000);
    this.placeCrosshair(L.latLng(row, col));
    this.showPosition(L.latLng(row, col));
  },
  setSharp(on) {
    this.$el.classList.toggle("sharp", on);
  },
};
