/** A stranger with grpcurl: everything is there to be listed, described and called by reflection alone. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import t from 'tap';
import { build } from '../helper.ts';

const grpcurl = (process.env.PATH ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'grpcurl'))
  .find((file) => existsSync(file));
const skip = grpcurl || process.env.CI ? false : 'grpcurl is not on PATH';

/** Runs grpcurl with `input` on its standard input; resolves what it printed and how it ended. */
function run(args: readonly string[], input = ''): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    const child = execFile(grpcurl ?? 'grpcurl', ['-plaintext', '-max-time', '5', ...args], (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out: stdout + stderr });
    });
    child.stdin?.end(input);
  });
}

t.test('grpcurl', { skip }, async (t) => {
  const s = await build(t);
  const list = await run([s.at.grpc, 'list']);
  t.match(list.out, /grpc\.health\.v1\.Health\n[\s\S]*ride\.v1\.RideStreamService/);
  const described = await run([s.at.grpc, 'describe', 'ride.v1.RideStreamService']);
  t.match(
    described.out,
    /rpc Connect \( stream \.ride\.v1\.ClientEnvelope \) returns \( stream \.ride\.v1\.ServerEnvelope \)/,
  );
  t.match((await run([s.at.grpc, 'describe', 'ride.v1.LocationUpdate'])).out, /optional double lat = 1;/);
  t.match(
    (await run(['-d', '{"service":"ride.v1.RideStreamService"}', s.at.grpc, 'grpc.health.v1.Health/Check'])).out,
    /"SERVING"/,
  );

  const token = await s.token('rider', 'rider-1');
  const connect = [s.at.grpc, 'ride.v1.RideStreamService/Connect'];
  const heartbeat = '{"corr_id":"hello","heartbeat":{}}';
  const opened = await run(['-H', `authorization: Bearer ${token}`, '-d', '@', ...connect], heartbeat);
  t.match(opened.out, /"welcome": \{[\s\S]*"userId": "rider-1"/);
  t.match(opened.out, /"corrId": "hello",[\s\S]*"ack": \{/);
  const refused = await run(['-d', '@', ...connect], heartbeat);
  t.match(refused.out, /Code: Unauthenticated/);
  t.not(refused.code, 0);
});
