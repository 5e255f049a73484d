// Coordinates and values under the pointer.
const REST = 60; // milliseconds that the pointer rests before values are asked for

export const readout = {
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
    clearTimeout(this.valueTimer);
    this.valueTimer = setTimeout(() => this.showValues(Math.floor(row), Math.floor(col)), REST);
  },
  async showValues(row, col) {
    const target = document.getElementById("values");
    if (!target || this.points) return; // not while drawing
    const asked = (this.valuesAsked = `${window.path_prefix}/values/${row}/${col}?scene=${this.scene.number}`);
    const { rows, cols } = this.scene;
    const inside = row >= 0 && col >= 0 && row < rows && col < cols;
    const answer = inside ? await fetch(asked).catch(() => null) : null;
    const text = answer?.ok ? (await answer.json()).text : "";
    if (this.valuesAsked === asked) target.textContent = text; // the pointer may be elsewhere now
  },
};
