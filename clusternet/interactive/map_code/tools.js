// What each tool does between pen down and pen up. The pointer and the crosshair call the same
// functions: begin(map, point), drag(map), hover(map, point), end(map, points), drop(map).
import { leaflet as L } from "nicegui-leaflet";

const NEAR = 7; // screen pixels between two clicks on the same corner

function rounded(map, points) {
  // Coordinates are rounded to a tenth of a screen pixel, so that a long stroke fits into one
  // message of the socket.
  const digits = Math.max(0, Math.ceil(Math.log10(map.screenPixels())) + 1);
  const result = [];
  for (const { lng, lat } of points) {
    const point = [Number(lng.toFixed(digits)), Number(lat.toFixed(digits))];
    const [x, y] = result.at(-1) ?? [];
    if (point[0] !== x || point[1] !== y) result.push(point);
  }
  return result;
}

function send(map, shape, points) {
  map.penUp = performance.now();
  map.firstTile = null;
  map.$emit("stroke", {
    points: rounded(map, points), width: map.shown.brush / map.screenPixels(),
    shape, erase: map.shown.tool === "erase",
  });
}

function isNear(map, a, b) {
  const [p, q] = [a, b].map((each) => map.map.latLngToContainerPoint(each));
  return p.distanceTo(q) <= NEAR;
}

function removeLine(map) {
  if (map.line) map.map.removeLayer(map.line);
  map.line = null;
}

function keepForAMoment(map) {
  const line = map.line;
  map.line = null;
  // by then the stroke has come back from the server
  setTimeout(() => line && map.map.removeLayer(line), 400);
}

const freehand = {
  usesBrush: true,
  begin(map, point) {
    const erasing = map.shown.tool === "erase";
    map.line = L.polyline([point, point], {
      renderer: map.ink, color: erasing ? "#ffffff" : map.shown.colour, lineCap: "round",
      lineJoin: "round", weight: map.shown.brush, opacity: erasing ? 0.6 : 0.9,
      interactive: false, smoothFactor: 0,
    }).addTo(map.map);
  },
  drag(map) {
    map.line.setLatLngs(map.points);
  },
  end(map, points) {
    keepForAMoment(map);
    send(map, "line", points);
  },
  drop: removeLine,
};

const point = {
  usesBrush: true, taps: true,
  end(map, points) {
    send(map, "line", [points.at(-1)]);
  },
};

// Corner by corner; a click on the last corner, or on the first one of an area, ends it.
const corners = {
  taps: true,
  end(map, points) {
    const corner = points.at(-1), placed = map.corners ?? [], closed = map.shown.tool === "area";
    const again = placed.length && isNear(map, corner, placed.at(-1));
    if (again || (closed && placed.length > 2 && isNear(map, corner, placed[0]))) {
      this.finish(map);
      return;
    }
    map.corners = [...placed, corner];
    this.hover(map, corner);
  },
  hover(map, point) {
    removeLine(map);
    if (!map.corners?.length) return;
    const style = { color: map.shown.colour, weight: 3, dashArray: "6 6", interactive: false };
    const way = [...map.corners, point];
    map.line = (map.shown.tool === "area" ? L.polygon(way, style) : L.polyline(way, style));
    map.line.addTo(map.map);
  },
  finish(map) {
    const placed = map.corners ?? [], closed = map.shown.tool === "area";
    this.drop(map);
    if (placed.length < (closed ? 3 : 2)) return;
    send(map, closed ? "area" : "line", placed);
  },
  stepBack(map) {
    map.corners?.pop();
    this.hover(map, map.corners?.at(-1));
  },
  drop(map) {
    removeLine(map);
    map.corners = null;
  },
};

// From corner to opposite corner: by dragging, or by two clicks.
const rectangle = {
  taps: true,
  begin(map, point) {
    map.corners ??= [point];
  },
  drag(map) {
    this.hover(map, map.points.at(-1));
  },
  hover(map, point) {
    removeLine(map);
    if (!map.corners?.length) return;
    const style = { color: map.shown.colour, weight: 3, dashArray: "6 6", interactive: false };
    map.line = L.rectangle(L.latLngBounds(map.corners[0], point), style).addTo(map.map);
  },
  end(map, points) {
    const [from] = map.corners, to = points.at(-1);
    if (isNear(map, from, to)) return; // the first of two clicks
    this.drop(map);
    const at = (lat, lng) => L.latLng(lat, lng);
    send(map, "area", [from, at(from.lat, to.lng), to, at(to.lat, from.lng)]);
  },
  drop: corners.drop,
};

// All superpixels that the pen passes.
const superpixel = {
  begin(map, point) {
    const style = { color: map.shown.colour, weight: 4, interactive: false };
    map.line = L.polyline([point, point], style).addTo(map.map);
  },
  drag: freehand.drag,
  end(map, points) {
    keepForAMoment(map);
    map.penUp = performance.now();
    map.firstTile = null;
    map.$emit("flood", { points: rounded(map, points), ...map.superpixelView() });
  },
  drop: removeLine,
};

const pick = {
  begin(map, point) {
    map.picked = map.strokeAt(point);
    map.ahead = null;
    map.showPicked(0, 0);
    map.$emit("pick", { key: map.pickedKey() });
  },
  drag(map) {
    const [from, to] = [map.points[0], map.points.at(-1)];
    map.showPicked(to.lat - from.lat, to.lng - from.lng);
  },
  end(map, points) {
    const [from, to] = [points[0], points.at(-1)];
    if (map.picked === null || isNear(map, from, to)) return map.showPicked(0, 0);
    map.penUp = performance.now();
    map.firstTile = null;
    map.sendMove(to.lat - from.lat, to.lng - from.lng);
  },
  drop(map) {
    map.showPicked(0, 0);
  },
};

export const TOOLS = {
  draw: freehand, erase: freehand, point, line: corners, area: corners, rectangle, superpixel, pick,
};
