// Layers of tiles: the image, its classes, uncertain places, a backdrop.
import { leaflet as L } from "nicegui-leaflet";

const STEP = 80; // milliseconds between two updates of a map whose tiles are loading

const SIDE = 256; // of a tile

export const onWholePixels = {
  // private in Leaflet. Tiles are placed from an origin, which is scaled with them: at a multiple
  // of their side it lies between two pixels of the screen at each of our zoom levels.
  _updateLevels() {
    const level = L.GridLayer.prototype._updateLevels.call(this);
    if (level && !level.isWhole) {
      level.isWhole = true;
      level.origin = level.origin.divideBy(SIDE).floor().multiplyBy(SIDE);
      this._setZoomTransform(level, this._map.getCenter(), this._map.getZoom());
    }
    return level;
  },
};
const WholeTiles = L.TileLayer.extend(onWholePixels);

export const layers = {
  tileLayer(name, url, opacity) {
    return new WholeTiles(url, {
      tileSize: SIDE, minZoom: -1, maxZoom: this.scene.max_zoom + 5, minNativeZoom: 0,
      maxNativeZoom: this.scene.max_zoom, bounds: this.bounds, opacity, keepBuffer: 1,
      pane: name === "image" ? "tilePane" : name, className: `tiles-${name}`, noWrap: true,
    });
  },
  show(name, url, opacity) {
    this.showInTwin(name, url, opacity);
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
    const layer = this.tileLayer(name, url, opacity);
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
    this.twinLayers?.[name]?.layer.setOpacity(opacity);
  },
};
