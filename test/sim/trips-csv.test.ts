import t from 'tap';
import { readCsv } from '../../sim/csv.ts';
import { createZone } from '../../sim/local-time.ts';
import { HeaderError, readTrips, type TripOrRefusal } from '../../sim/trips-csv.ts';

const zone = createZone('America/New_York');
const inside = (p: { lat: number; lng: number }) => p.lat > 40.4 && p.lat < 41 && p.lng > -74.3 && p.lng < -73.6;
const HEADER =
  'pickup_datetime,dropoff_datetime,passenger_count,trip_distance,pickup_longitude,pickup_latitude,dropoff_longitude,dropoff_latitude';
const GOOD =
  '2015-01-15 15:33:26 +00:00,2015-01-15 15:52:27 +00:00,1,2.89,-73.96710205,40.80395889,-73.96305084,40.77251816';

async function read(text: string, chunk = text.length): Promise<TripOrRefusal[]> {
  const chunks = [];
  for (let i = 0; i < text.length; i += chunk) chunks.push(text.slice(i, i + chunk));
  const rows = [];
  for await (const row of readTrips(readCsv(chunks), { zone, inside })) rows.push(row);
  return rows;
}

/** The good row with some columns replaced, and what became of it. */
async function refusal(change: Record<string, string>) {
  const names = HEADER.split(',');
  const fields = GOOD.split(',').map((field, i) => change[names[i]!] ?? field);
  const [result] = await read(`${HEADER}\n${fields.join(',')}\n`);
  return result!.refusal;
}

t.test('a good row becomes a trip, its times being local whatever offset is printed', async (t) => {
  const [result] = await read(`${HEADER}\n${GOOD}\n`);
  t.same(result, {
    trip: {
      row: 2,
      atMs: Date.parse('2015-01-15T15:33:26-05:00'),
      pickup: { lat: 40.80395889, lng: -73.96710205 },
      dropoff: { lat: 40.77251816, lng: -73.96305084 },
      durationS: 1141,
      distanceM: 2.89 * 1609.344,
    },
  });
});

t.test('summer time, the hour that is skipped and the hour that comes twice', async (t) => {
  const at = (text: string) => {
    const [date, time] = text.split(' ');
    const [year, month, day] = date!.split('-').map(Number) as [number, number, number];
    const [hour, minute] = time!.split(':').map(Number) as [number, number];
    return new Date(zone.toEpochMs({ year, month, day, hour, minute, second: 0 })).toISOString();
  };
  t.equal(at('2015-07-01 12:00'), '2015-07-01T16:00:00.000Z', 'summer is four hours behind');
  t.equal(at('2015-03-08 01:59'), '2015-03-08T06:59:00.000Z', 'just before the change');
  t.equal(at('2015-03-08 02:30'), '2015-03-08T07:30:00.000Z', 'an hour that is skipped means the hour after');
  t.equal(at('2015-03-08 03:00'), '2015-03-08T07:00:00.000Z', 'just after the change');
  t.equal(at('2015-11-01 01:30'), '2015-11-01T05:30:00.000Z', 'an hour that comes twice means its first time');
  t.equal(at('2015-11-01 02:00'), '2015-11-01T07:00:00.000Z', 'after it');
  t.equal(zone.clockAt(Date.parse('2015-01-15T13:05:00Z')), '08:05');
});

t.test("the commission's other names, in any case and order, and the portal's date form", async (t) => {
  const header =
    'VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,Trip_Distance,Start_Lon,Start_Lat,End_Lon,End_Lat';
  const [result] = await read(
    `${header}\n2,01/15/2015 03:33:26 PM,01/15/2015 03:52:27 PM,2.89,-73.967,40.804,-73.963,40.772`,
  );
  t.equal(result?.trip?.atMs, Date.parse('2015-01-15T15:33:26-05:00'));
  t.equal(result?.trip?.durationS, 1141);
});

t.test('the shapes of CSV: byte order mark, CRLF, quotes, empty lines, no last line break, any chunking', async (t) => {
  const quoted = GOOD.split(',')
    .map((field) => `"${field}"`)
    .join(',');
  const text = `\uFEFF${HEADER}\r\n${GOOD}\r\n\r\n${quoted}\r\n"a ""quoted""\r\nfield",b\r\n${GOOD}`;
  const whole = await read(text);
  t.same(
    whole.map((r) => r.trip?.row ?? `${r.refusal?.row} refused`),
    [2, 4, '5 refused', 6],
    'empty lines count as rows, a line break in quotes does not',
  );
  for (const chunk of [1, 2, 7]) t.same(await read(text, chunk), whole, `chunks of ${chunk}`);
});

t.test('each bad row is refused with its row, the field and the reason', async (t) => {
  const cases: [Record<string, string>, string, RegExp][] = [
    [{ pickup_datetime: 'yesterday' }, 'pickup_datetime', /"yesterday" is not a date and time/],
    [{ pickup_datetime: '2015-02-30 10:00:00' }, 'pickup_datetime', /not a date and time/],
    [{ dropoff_datetime: '2015-01-15 24:10:00' }, 'dropoff_datetime', /not a date and time/],
    [{ dropoff_datetime: '' }, 'dropoff_datetime', /is missing/],
    [{ dropoff_datetime: '2015-01-15 15:33:56' }, 'dropoff_datetime', /lasts 30 s; it must be more than 30 s/],
    [{ dropoff_datetime: '2015-01-15 15:00:00' }, 'dropoff_datetime', /lasts -2006 s/],
    [{ dropoff_datetime: '2015-01-15 18:33:27' }, 'dropoff_datetime', /lasts 3.0 h; it must be at most 3 h/],
    [{ trip_distance: '0' }, 'trip_distance', /must be more than 0/],
    [{ trip_distance: '-1.5' }, 'trip_distance', /must be more than 0/],
    [{ trip_distance: 'NaN' }, 'trip_distance', /"NaN" is not a number/],
    [{ trip_distance: 'Infinity' }, 'trip_distance', /not a number/],
    [{ trip_distance: '0x10' }, 'trip_distance', /not a number/],
    [{ trip_distance: '60' }, 'trip_distance', /mean speed is 305 km\/h/],
    [{ pickup_latitude: '0', pickup_longitude: '0' }, 'pickup_latitude', /outside all zones/],
    [{ dropoff_latitude: '41.2' }, 'dropoff_latitude', /outside all zones/],
    [{ dropoff_latitude: '91' }, 'dropoff_latitude', /not a latitude/],
    [{ pickup_longitude: '-181' }, 'pickup_longitude', /not a longitude/],
    [{ dropoff_latitude: '40.80395889', dropoff_longitude: '-73.96710205' }, 'dropoff_latitude', /zero distance/],
  ];
  for (const [change, field, reason] of cases) {
    const refused = await refusal(change);
    t.match(refused, { row: 2, field, reason }, JSON.stringify(change));
  }
  t.equal(
    await refusal({
      dropoff_datetime: '2015-01-15 15:33:57',
      trip_distance: '0.4',
      dropoff_latitude: '40.8045',
      dropoff_longitude: '-73.967',
    }),
    undefined,
    '31 s is a trip',
  );
});

t.test('short and long rows are refused, and the rows after them are read', async (t) => {
  const rows = await read(`${HEADER}\n2015-01-15 15:33:26\n${GOOD},extra\n${GOOD}\n`);
  t.match(rows[0], { refusal: { row: 2, field: 'row', reason: 'has 1 fields where the header has 8' } });
  t.match(rows[1], { refusal: { row: 3, field: 'row', reason: 'has 9 fields where the header has 8' } });
  t.equal(rows[2]?.trip?.row, 4);
});

t.test('a file without a needed column, or empty, is refused as a whole', async (t) => {
  await t.rejects(read('a,b,c\n1,2,3\n'), HeaderError);
  await t.rejects(read(''), HeaderError);
});

t.test('a quote that never closes cannot swallow a file', async (t) => {
  await t.rejects(read(`${HEADER}\n"${'x'.repeat(1_100_000)}`), /row 2: longer than 1000000 characters/);
});
