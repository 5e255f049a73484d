// Tiles of a map service (XYZ, Web Mercator) below the classes, in the pixels of the scene.
// They are asked for only after somebody has typed the address of the service.
import { leaflet as L } from "nicegui-leaflet";
import { onWholePixels } from "./layers.js";

const HALF = Math.PI * 6378137; // metres from the middle of Web Mercator to its border
const MOST = 36; // tiles of the service for one of ours
const DEEPEST = 22;

const Warped = L.GridLayer.extend({
  ...onWholePixels,
  createTile(coords, done) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 256;
    const step = 2 ** (this.options.maxNativeZoom - coords.z);
    const at = (x, y) => this.options.place((coords.y * 256 + y) * step, (coords.x * 256 + x) * step);
    const [o, u, v] = [at(0, 0), at(256, 0), at(0, 256)];
    // Within one tile the two projections differ by a linear map.
    const [a, b, c, d] = [u[0] - o[0], v[0] - o[0], u[1] - o[1], v[1] - o[1]].map((x) => x / 256);
    const scale = Math.sqrt(Math.abs(a * d - b * c)); // metres to a screen pixel
    const zoom = Math.round(Math.log2((2 * HALF) / 256 / scale));
    const z = Math.min(Math.max(zoom, 0), DEEPEST), side = (2 * HALF) / 2 ** z;
    const corners = [o, u, v, at(256, 256)];
    const range = (axis) => {
      const all = corners.map((corner) => (axis ? HALF - corner[1] : corner[0] + HALF) / side);
      return [Math.floor(Math.min(...all)), Math.floor(Math.max(...all))];
    };
    const [left, right] = range(0), [top, bottom] = range(1), wanted = [];
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) wanted.push([x, y]);
    }
    const all = wanted.slice(0, MOST).map(([x, y]) => load(this.options.url, x, y, z));
    Promise.all(all).then((images) => {
      const ink = canvas.getContext("2d"), det = a * d - b * c, unit = side / 256;
      images.forEach((image, number) => {
        if (!image) return;
        const [x, y] = wanted[number];
        const [e, n] = [x * side - HALF - o[0], HALF - y * side - o[1]];
        ink.setTransform((d * unit) / det, (-c * unit) / det, (b * unit) / det, (-a * unit) / det,
          (d * e - b * n) / det, (a * n - c * e) / det);
        ink.drawImage(image, 0, 0, 256.5, 256.5); // half a pixel more: no seams
      });
      done(null, canvas);
    });
    return canvas;
  },
});

function load(url, x, y, z) {
  const address = url.replace("{s}", "abc"[(x + y) % 3]).replace("{z}", z).replace("{x}", x)
    .replace("{y}", y);
  return new Promise((resolve) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.referrerPolicy = "no-referrer";
    image.src = address;
  });
}

export const backdrop = {
  setService(url, lattice, opacity) {
    // lattice: Web Mercator coordinates of evenly spaced points of the scene, rows of [x, y]
    if (this.service) this.map.removeLayer(this.service);
    this.service = null;
    if (!url) return;
    const { rows, cols, max_zoom: top } = this.scene, last = lattice.length - 1;
    const place = (row, col) => {
      const y = (row / rows) * last, x = (col / cols) * last;
      const i = Math.min(Math.max(Math.floor(y), 0), last - 1);
      const j = Math.min(Math.max(Math.floor(x), 0), last - 1);
      const [v, u] = [y - i, x - j];
      return [0, 1].map((axis) =>
        (1 - v) * ((1 - u) * lattice[i][j][axis] + u * lattice[i][j + 1][axis]) +
        v * ((1 - u) * lattice[i + 1][j][axis] + u * lattice[i + 1][j + 1][axis]));
    };
    this.service = new Warped({
      url, place, pane: "backdrop", minZoom: -1, maxZoom: top + 5, minNativeZoom: 0,
      maxNativeZoom: top, opacity, className: "tiles-service", keepBuffer: 1,
    }).addTo(this.map);
  },
};
