/**
 * Real trips from the CSV files of New York's Taxi & Limousine Commission, or any file with its columns. Columns are found
 * by their names in the header (the commission has changed them often); a row that cannot be a trip is refused with its
 * number, the field and the reason, and never stops the file.
 *
 * Times in these files are New York's local time. Some copies print `+00:00` beside them, which is wrong and ignored.
 */
import { type CsvRecord, readCsvFile } from './csv.ts';
import { distanceM, type Point } from './geo.ts';
import { parseLocalTime, type Zone } from './local-time.ts';

/** One trip to replay: what a rider asks for, when, and how long the ride took. */
export interface Trip {
  /** Number of the row in its file (the header is 1), or of the generated trip. */
  row: number;
  /** Epoch milliseconds, domain time. */
  atMs: number;
  pickup: Point;
  dropoff: Point;
  /** From pick-up to drop-off, metered. */
  durationS: number;
  distanceM: number;
}

export interface Refusal {
  row: number;
  /** The file's own name of the column, or `row` when the row as a whole is at fault. */
  field: string;
  reason: string;
}

export type TripOrRefusal = { trip: Trip; refusal?: undefined } | { trip?: undefined; refusal: Refusal };

export interface TripBounds {
  zone: Zone;
  /** Whether the city serves this point. */
  inside(point: Point): boolean;
}

const MIN_DURATION_S = 30;
const MAX_DURATION_S = 3 * 3600;
const MAX_SPEED_KMH = 100;
/** Nearer is the same place: the second position was never taken. */
const MIN_STRAIGHT_M = 10;
const METRES_PER_MILE = 1609.344;

/** Names seen in the commission's files since 2009, in lower case. */
const columnNames = {
  pickupTime: ['pickup_datetime', 'tpep_pickup_datetime', 'lpep_pickup_datetime', 'trip_pickup_datetime'],
  dropoffTime: ['dropoff_datetime', 'tpep_dropoff_datetime', 'lpep_dropoff_datetime', 'trip_dropoff_datetime'],
  miles: ['trip_distance'],
  pickupLng: ['pickup_longitude', 'start_lon'],
  pickupLat: ['pickup_latitude', 'start_lat'],
  dropoffLng: ['dropoff_longitude', 'end_lon'],
  dropoffLat: ['dropoff_latitude', 'end_lat'],
} as const;

type Column = keyof typeof columnNames;
interface Found {
  index: number;
  name: string;
}

/** Thrown for a file whose header lacks a column that every trip needs; nothing of such a file can be replayed. */
export class HeaderError extends Error {
  constructor(column: Column, header: readonly string[]) {
    super(
      `the file has no column ${columnNames[column].join(' or ')}; its header is: ${header.join(', ').slice(0, 200)}`,
    );
    this.name = 'HeaderError';
  }
}

/** Reads a file row by row; each row is a trip or a refusal. Throws HeaderError, CsvError or a file error. */
export async function* readTripsFile(path: string, bounds: TripBounds): AsyncGenerator<TripOrRefusal> {
  yield* readTrips(readCsvFile(path), bounds);
}

/** As `readTripsFile`, from records. The first is the header. */
export async function* readTrips(records: AsyncIterable<CsvRecord>, bounds: TripBounds): AsyncGenerator<TripOrRefusal> {
  let reader: RowReader | undefined;
  for await (const record of records) {
    if (reader) yield reader.read(record);
    else reader = new RowReader(record.fields, bounds);
  }
  if (!reader) throw new HeaderError('pickupTime', []);
}

/** A refusal on its way out of the checks of one row. */
class RowRefused extends Error {
  readonly field: string;
  constructor(field: string, reason: string) {
    super(reason);
    this.field = field;
  }
}

class RowReader {
  private readonly columns: Record<Column, Found>;
  private readonly width: number;
  private readonly bounds: TripBounds;

  constructor(header: readonly string[], bounds: TripBounds) {
    const names = header.map((name) => name.trim().toLowerCase());
    const find = (column: Column): Found => {
      for (const name of columnNames[column]) {
        const index = names.indexOf(name);
        if (index >= 0) return { index, name: header[index]!.trim() };
      }
      throw new HeaderError(column, header);
    };
    const columns = Object.keys(columnNames) as Column[];
    this.columns = Object.fromEntries(columns.map((column) => [column, find(column)])) as Record<Column, Found>;
    this.width = header.length;
    this.bounds = bounds;
  }

  read({ row, fields }: CsvRecord): TripOrRefusal {
    try {
      return { trip: this.trip(row, fields) };
    } catch (error) {
      if (error instanceof RowRefused) return { refusal: { row, field: error.field, reason: error.message } };
      throw error;
    }
  }

  private trip(row: number, fields: readonly string[]): Trip {
    if (fields.length !== this.width)
      throw new RowRefused('row', `has ${fields.length} fields where the header has ${this.width}`);
    const atMs = this.time(fields, 'pickupTime');
    const endMs = this.time(fields, 'dropoffTime');
    const miles = this.number(fields, 'miles');
    const pickup = this.point(fields, 'pickupLat', 'pickupLng');
    const dropoff = this.point(fields, 'dropoffLat', 'dropoffLng');

    const durationS = (endMs - atMs) / 1000;
    const end = this.columns.dropoffTime.name;
    if (durationS <= MIN_DURATION_S)
      throw new RowRefused(end, `the trip lasts ${durationS} s; it must be more than ${MIN_DURATION_S} s`);
    if (durationS > MAX_DURATION_S)
      throw new RowRefused(end, `the trip lasts ${(durationS / 3600).toFixed(1)} h; it must be at most 3 h`);

    const distance = this.columns.miles.name;
    if (miles <= 0) throw new RowRefused(distance, `the metered distance is ${miles} miles; it must be more than 0`);
    const straightM = distanceM(pickup, dropoff);
    if (straightM < MIN_STRAIGHT_M) {
      const reason = `zero distance: pick-up and drop-off are ${straightM.toFixed(0)} m apart`;
      throw new RowRefused(this.columns.dropoffLat.name, reason);
    }
    const kmh = (Math.max(miles * METRES_PER_MILE, straightM) / durationS) * 3.6;
    if (kmh > MAX_SPEED_KMH)
      throw new RowRefused(distance, `the mean speed is ${kmh.toFixed(0)} km/h; it must be at most ${MAX_SPEED_KMH}`);
    return { row, atMs, pickup, dropoff, durationS, distanceM: miles * METRES_PER_MILE };
  }

  private text(fields: readonly string[], column: Column): string {
    const { index, name } = this.columns[column];
    const text = fields[index]!.trim();
    if (text === '') throw new RowRefused(name, 'is missing');
    return text;
  }

  private time(fields: readonly string[], column: Column): number {
    const text = this.text(fields, column);
    const local = parseLocalTime(text);
    if (!local) throw new RowRefused(this.columns[column].name, `"${text.slice(0, 40)}" is not a date and time`);
    return this.bounds.zone.toEpochMs(local);
  }

  private number(fields: readonly string[], column: Column): number {
    const text = this.text(fields, column);
    if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?$/i.test(text)) {
      throw new RowRefused(this.columns[column].name, `"${text.slice(0, 40)}" is not a number`);
    }
    return Number(text);
  }

  private point(fields: readonly string[], latColumn: Column, lngColumn: Column): Point {
    const point = { lat: this.number(fields, latColumn), lng: this.number(fields, lngColumn) };
    if (Math.abs(point.lat) > 90)
      throw new RowRefused(this.columns[latColumn].name, `${point.lat} is not a latitude from -90 to 90`);
    if (Math.abs(point.lng) > 180)
      throw new RowRefused(this.columns[lngColumn].name, `${point.lng} is not a longitude from -180 to 180`);
    if (!this.bounds.inside(point)) {
      throw new RowRefused(
        this.columns[latColumn].name,
        `${point.lat}, ${point.lng} lies outside all zones of the city`,
      );
    }
    return point;
  }
}
