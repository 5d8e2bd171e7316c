// Driver markers, drawn once per colour, form and heading and then only copied: copying thousands of small pictures a frame is
// cheap, drawing thousands of outlined arrows is not.

/** Headings are drawn in steps of this many degrees. */
const STEP_DEG = 10;

/** @typedef {'dot' | 'small' | 'arrow'} MarkerForm */

/** Half the side of a marker's picture, CSS pixels. @type {Record<MarkerForm, number>} */
const HALF = { dot: 5, small: 8, arrow: 13 };

/** @param {import('./theme.js').Theme} theme @param {number} pixelRatio */
export function createSprites(theme, pixelRatio) {
  /** @type {Map<string, HTMLCanvasElement>} */
  const made = new Map();

  /** @param {CanvasRenderingContext2D} g @param {MarkerForm} form @param {number | null} deg */
  function outline(g, form, deg) {
    g.beginPath();
    if (form === 'arrow' && deg !== null) {
      g.rotate((deg * Math.PI) / 180);
      g.moveTo(0, -9);
      g.lineTo(6.6, 7);
      g.quadraticCurveTo(0, 3, -6.6, 7);
      g.closePath();
    } else {
      g.arc(0, 0, form === 'dot' ? 2.8 : form === 'small' ? 4.2 : 5.6, 0, 2 * Math.PI);
    }
  }

  /** @param {string} condition @param {MarkerForm} form @param {number | null} deg */
  function make(condition, form, deg) {
    const canvas = document.createElement('canvas');
    const side = Math.ceil(HALF[form] * 2 * pixelRatio);
    canvas.width = side;
    canvas.height = side;
    const g = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    g.scale(side / (HALF[form] * 2), side / (HALF[form] * 2));
    g.translate(HALF[form], HALF[form]);
    outline(g, form, deg);
    g.lineJoin = 'round';
    g.strokeStyle = theme.outline;
    g.lineWidth = form === 'dot' ? 1.5 : 2.5;
    g.stroke();
    g.fillStyle = theme.drivers[condition] ?? theme.outline;
    g.fill();
    return canvas;
  }

  return {
    /**
     * Draws a marker with its middle at a place, CSS pixels.
     * @param {CanvasRenderingContext2D} g @param {string} condition @param {MarkerForm} form @param {number | null} deg
     * @param {number} x @param {number} y
     */
    draw(g, condition, form, deg, x, y) {
      const turn = form === 'arrow' && deg !== null ? Math.round((((deg % 360) + 360) % 360) / STEP_DEG) % 36 : -1;
      const key = `${condition}/${form}/${turn}`;
      let picture = made.get(key);
      if (picture === undefined) {
        picture = make(condition, form, turn < 0 ? null : turn * STEP_DEG);
        made.set(key, picture);
      }
      const half = HALF[form];
      g.drawImage(picture, x - half, y - half, half * 2, half * 2);
    },
  };
}
