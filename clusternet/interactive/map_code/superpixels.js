// Outlines of the superpixels of the view, which a click takes as a whole.
import { leaflet as L } from "nicegui-leaflet";

const REST = 300; // milliseconds that the view rests before superpixels are computed

export const superpixels = {
  superpixelView() {
    // The part of the scene that is shown, in pixels, and how many of them make one on the screen.
    const { rows, cols } = this.scene, box = this.map.getBounds();
    const step = 2 ** Math.max(0, Math.floor(-Math.log2(this.screenPixels()) + 0.3));
    const grid = 16 * step, down = (at) => Math.max(Math.floor(at / grid) * grid, 0);
    const [row, col] = [down(box.getSouth()), down(box.getWest())];
    return {
      row, col, step, height: Math.min(Math.ceil(box.getNorth()), rows) - row,
      width: Math.min(Math.ceil(box.getEast()), cols) - col,
    };
  },
  showSuperpixels() {
    clearTimeout(this.superpixelTimer);
    this.superpixelTimer = setTimeout(() => {
      const { row, col, step, height, width } = this.superpixelView();
      if (this.shown.tool !== "superpixel" || height < 1 || width < 1) return;
      const look = this.tiles.image?.url.split("?")[1] ?? "";
      const url = `${window.path_prefix}/superpixels/${row}/${col}/${height}/${width}/${step}.png?${look}`;
      if (this.outlines?._url === url) return;
      const old = this.outlines;
      this.outlines = L.imageOverlay(url, [[row, col], [row + height, col + width]], {
        pane: "outlines", interactive: false });
      this.outlines.once("load", () => old && this.map.removeLayer(old));
      this.outlines.addTo(this.map);
    }, REST);
  },
  hideSuperpixels() {
    clearTimeout(this.superpixelTimer);
    if (this.outlines) this.map.removeLayer(this.outlines);
    this.outlines = null;
  },
};
