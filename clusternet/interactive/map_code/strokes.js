// The strokes as they are drawn on the map, and which of them is picked.
import { leaflet as L } from "nicegui-leaflet";

const NEAR = 6; // screen pixels from a stroke that still pick it

export const strokes = {
  setStrokes(strokes, picked) {
    this.strokes = strokes;
    this.picked = picked ?? null;
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
    this.showPicked(0, 0);
    this.moveOn();
  },
  pickedKey() {
    return this.strokes[this.picked]?.key ?? null;
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
  showPicked(rows, cols) {
    // A dashed line around or along the picked stroke, moved by so many pixels.
    if (this.pickedMark) this.map.removeLayer(this.pickedMark);
    this.pickedMark = null;
    const stroke = this.strokes[this.picked];
    if (!stroke) return;
    const moved = ([row, col]) => [row + rows, col + cols];
    const parts = stroke.parts.map((part) =>
      stroke.area ? part.map((ring) => ring.map(moved)) : part.map(moved));
    this.pickedMark = L.layerGroup();
    for (const [color, dashArray] of [["#000", null], ["#fff", "5 5"]]) {
      const style = { color, dashArray, weight: 3, fill: false, interactive: false, pane: "picked" };
      for (const part of parts) {
        const mark = part.length === 1 && !stroke.area
          ? L.circleMarker(part[0], { ...style, radius: 9 })
          : stroke.area ? L.polygon(part, style) : L.polyline(part, style);
        this.pickedMark.addLayer(mark);
      }
    }
    this.pickedMark.addTo(this.map);
  },
  strokeAt(point) {
    // The number of the topmost stroke at a place, or null.
    const near = NEAR / this.screenPixels();
    for (let number = this.strokes.length - 1; number >= 0; number--) {
      const stroke = this.strokes[number];
      const hit = stroke.area
        ? stroke.parts.some((rings) => isInside(point, rings))
        : stroke.parts.some((line) => distance(point, line) <= Math.max(near, stroke.width / 2));
      if (hit) return number;
    }
    return null;
  },
  showStroke(number) {
    // Brings a stroke into view.
    const box = L.latLngBounds(this.strokes[number]?.parts.flat(Infinity).length
      ? this.strokes[number].parts.flat(this.strokes[number].area ? 2 : 1) : []);
    if (box.isValid() && !this.map.getBounds().contains(box)) {
      this.map.panTo(box.getCenter(), { animate: false });
    }
  },
};

function distance({ lat, lng }, line) {
  const p = L.point(lng, lat), at = ([row, col]) => L.point(col, row);
  if (line.length === 1) return p.distanceTo(at(line[0]));
  let nearest = Infinity;
  for (let i = 1; i < line.length; i++) {
    const gap = L.LineUtil.pointToSegmentDistance(p, at(line[i - 1]), at(line[i]));
    nearest = Math.min(nearest, gap);
  }
  return nearest;
}

function isInside({ lat, lng }, rings) {
  let inside = false; // holes are rings as well, so each ring that is crossed switches
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [row, col] = ring[i], [before, left] = ring[j];
      const crosses = row > lat !== before > lat;
      if (crosses && lng < ((left - col) * (lat - row)) / (before - row) + col) inside = !inside;
    }
  }
  return inside;
}
