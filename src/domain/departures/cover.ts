/**
 * Places of departures, and pick-ups of rides and deliveries, by H3 cells of one fixed resolution, whatever the setting of zones is: what is stored must be found again.
 * Resolution 6 has cells some 6 km across: a walk around a pick-up is 7 cells, 50 km are a few hundred.
 */
import { cellToLatLng, gridDisk, latLngToCell } from 'h3-js';
import { distanceM, type LatLng } from '../geo.ts';

const RESOLUTION = 6;
export const RADIUS_MAX_M = 50_000;

export interface Around extends LatLng {
  radiusM: number;
}

export const cellOf = ({ lat, lng }: LatLng): string => latLngToCell(lat, lng, RESOLUTION);

/** Everywhere, when it is around nothing. */
export const within = (place: LatLng, around: Around | undefined): boolean =>
  around === undefined || distanceM(place, around) <= around.radiusM;

/**
 * Cells that together hold every place within `radiusM` (at most RADIUS_MAX_M) of a centre, sorted. A disk of k rings reaches
 * √3/2·k + 1/(2√3) spacings of cells from its middle, and the centre lies up to 1/√3 off that; cells nearby may be a tenth closer together
 * than those around the middle.
 */
export function cellsAround(center: LatLng, radiusM: number): string[] {
  const middle = cellOf(center);
  const [lat, lng] = cellToLatLng(middle);
  const spacings = gridDisk(middle, 1)
    .filter((cell) => cell !== middle)
    .map((cell) => {
      const [otherLat, otherLng] = cellToLatLng(cell);
      return distanceM({ lat, lng }, { lat: otherLat, lng: otherLng });
    });
  const spacingM = 0.9 * Math.min(...spacings);
  const rings = Math.ceil((radiusM / spacingM + 0.29) / 0.866);
  return gridDisk(middle, rings).sort();
}
