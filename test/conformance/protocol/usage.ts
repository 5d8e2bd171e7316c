/** The arguments of script/conformance; by itself, so that they can be shown before any package is installed. */

export const USAGE = `script/conformance: holds a server against docs/protocol.md

  --url URL           its HTTP address, such as http://localhost:8080; without it the suite starts a server of its own
  --grpc HOST:PORT    its gRPC address; default: the host of --url with port 7443
  --token-secret KEY  its JWT_SECRET, to sign tokens with; without it they come from the development route
  --alarms            let the SOS cases run, which raise alerts; on a server of its own they always do
  --only TEXT         only cases whose section or title has this
  --over NAMES        only over these transports: websocket-json,websocket-protobuf,grpc
  --at-once N         cases side by side; default 4

Each case has users and trips of its own, in places where nobody drives. What cannot be tried at that address is said to be skipped.
`;

if (import.meta.main) process.stdout.write(USAGE);
