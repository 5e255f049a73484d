// The parts of the map by topic. Each is a set of methods of the component in scene_map.js.
export { layers } from "./layers.js";
export { zoom, WholeMap } from "./zoom.js";
export { strokes } from "./strokes.js";
export { pen } from "./pen.js";
export { crosshair } from "./crosshair.js";
export { keyboard } from "./keyboard.js";
export { readout } from "./readout.js";
export { compare } from "./compare.js";
export { backdrop } from "./backdrop.js";
export { superpixels } from "./superpixels.js";
