/**
 * Wall-clock times of a city as instants. The trip files carry New York local time (whatever offset they print beside it),
 * so the offset has to come from the time zone, summer time included.
 */

export interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

const DATABASE_FORM =
  /^(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?: ?(?:Z|UTC|[+-]\d{2}:?\d{2}))?$/;
const PORTAL_FORM = /^(\d{1,2})\/(\d{1,2})\/(\d{4}) (\d{1,2}):(\d{2})(?::(\d{2}))? ?(AM|PM)?$/i;

/**
 * Reads `2015-01-15 15:33:26`, with or without an offset (which is not believed), or the open-data portal's
 * `01/15/2015 03:33:26 PM`. Null when it is neither or names a day or hour that does not exist.
 */
export function parseLocalTime(text: string): LocalTime | null {
  const trimmed = text.trim();
  const db = DATABASE_FORM.exec(trimmed);
  if (db) {
    const [year, month, day, hour, minute, second] = db.slice(1, 7).map((part) => Number(part ?? 0)) as number[];
    return checked({ year: year!, month: month!, day: day!, hour: hour!, minute: minute!, second: second! });
  }
  const portal = PORTAL_FORM.exec(trimmed);
  if (!portal) return null;
  const [month, day, year, hour, minute, second] = portal.slice(1, 7).map((part) => Number(part ?? 0)) as number[];
  const half = portal[7]?.toUpperCase();
  if (half && (hour! < 1 || hour! > 12)) return null;
  const hour24 = half ? (hour! % 12) + (half === 'PM' ? 12 : 0) : hour!;
  return checked({ year: year!, month: month!, day: day!, hour: hour24, minute: minute!, second: second! });
}

function checked(t: LocalTime): LocalTime | null {
  const date = new Date(Date.UTC(t.year, t.month - 1, t.day));
  const dayExists =
    date.getUTCFullYear() === t.year && date.getUTCMonth() === t.month - 1 && date.getUTCDate() === t.day;
  return dayExists && t.hour < 24 && t.minute < 60 && t.second < 60 ? t : null;
}

export interface Zone {
  /** Epoch milliseconds of a local time. An hour that occurs twice means its first time; one that is skipped, the hour after. */
  toEpochMs(local: LocalTime): number;
  /** Hour of the day, 0 to 23, at an instant. */
  hourAt(epochMs: number): number;
  /** `HH:MM` at an instant. */
  clockAt(epochMs: number): string;
  /** `YYYY-MM-DD` at an instant. */
  dateAt(epochMs: number): string;
}

const HOUR_MS = 3_600_000;

/** `name` is an IANA zone, e.g. America/New_York. Throws RangeError for one that does not exist. */
export function createZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset', hourCycle: 'h23' });
  const offsets = new Map<number, number>();
  // Offsets change on the hour at most, so one look-up an hour is enough for millions of rows.
  const offsetMs = (epochMs: number): number => {
    const hour = Math.floor(epochMs / HOUR_MS);
    const known = offsets.get(hour);
    if (known !== undefined) return known;
    const text = format.formatToParts(hour * HOUR_MS).find((part) => part.type === 'timeZoneName')?.value ?? 'GMT';
    const match = /^GMT(?:([+-])(\d{2}):(\d{2}))?$/.exec(text);
    if (!match) throw new Error(`cannot read the offset ${text} of ${name}`);
    const value = match[1] ? (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3])) * 60_000 : 0;
    offsets.set(hour, value);
    return value;
  };
  const isoAt = (epochMs: number) => new Date(epochMs + offsetMs(epochMs)).toISOString();
  return {
    toEpochMs(t) {
      const asUtc = Date.UTC(t.year, t.month - 1, t.day, t.hour, t.minute, t.second);
      // The offsets of half a day before and after cover both sides of any change; the larger gives the earlier instant.
      const [before, after] = [offsetMs(asUtc - 12 * HOUR_MS), offsetMs(asUtc + 12 * HOUR_MS)];
      for (const candidate of [Math.max(before, after), Math.min(before, after)]) {
        if (offsetMs(asUtc - candidate) === candidate) return asUtc - candidate;
      }
      return asUtc - before;
    },
    hourAt: (epochMs) => Number(isoAt(epochMs).slice(11, 13)),
    clockAt: (epochMs) => isoAt(epochMs).slice(11, 16),
    dateAt: (epochMs) => isoAt(epochMs).slice(0, 10),
  };
}
