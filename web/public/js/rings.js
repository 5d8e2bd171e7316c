// Rings around drivers on the canvas: the chosen one, and those of rides that somebody has to look at.

/** CSS pixels. An alarm is larger than any marker, and than the ring of the chosen one. */
export const HALO_RADIUS = 15;
export const ALARM_RADIUS = 20;

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} radius @param {string} colour */
export function drawRing(g, x, y, radius, colour) {
  g.beginPath();
  g.arc(x, y, radius, 0, 2 * Math.PI);
  g.strokeStyle = colour;
  g.lineWidth = 2.5;
  g.stroke();
  g.globalAlpha = 0.2;
  g.fillStyle = colour;
  g.fill();
  g.globalAlpha = 1;
}
