/** Containers are described in files that no compiler reads: their ports, settings and names are held against the code here. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { loadConfig, settings } from '../../src/config.ts';

interface Service {
  image?: string;
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  depends_on?: Record<string, unknown> | string[];
}

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const existsHere = (name: string) => existsSync(new URL(`../../${name}`, import.meta.url));
const compose = parse(read('compose.yaml')) as { services: Record<string, Service>; volumes: Record<string, null> };
const dockerfile = read('Dockerfile');
const { services } = compose;
const ridestream = services.ridestream!;
/** As compose fills it in when the variable is not set. */
const environment = Object.fromEntries(
  Object.entries(ridestream.environment!).map(([name, value]) => [name, value.replace(/\$\{\w+:-(.*?)\}/, '$1')]),
);
const names = new Set<string>(Object.values(settings).map((setting) => setting.name));
/** Left as documented, since the image and the compose file rely on these. */
const listeners = ['HTTP_LISTEN_ADDR', 'GRPC_LISTEN_ADDR', 'METRICS_LISTEN_ADDR'] as const;

t.test('sets only settings there are, to values they take', async (t) => {
  t.same(
    Object.keys(environment).filter((name) => !names.has(name)),
    [],
  );
  const config = loadConfig(environment);
  for (const { host } of [config.httpListen, config.grpcListen, config.metricsListen]) {
    t.equal(host, '0.0.0.0', 'reached from outside the container');
  }
});

t.test('publishes each listener under its own number, on loopback', async (t) => {
  const config = loadConfig(environment);
  const ports = [config.httpListen, config.grpcListen, config.metricsListen].map(({ port }) => port);
  t.same(ports, [8080, 7443, 9090]);
  t.same(
    ridestream.ports,
    ports.map((port) => `127.0.0.1:${port}:${port}`),
  );
  const published = Object.values(services).flatMap((service) => service.ports ?? []);
  t.same(
    published.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port)),
    [],
  );
  const hostPorts = published.map((port) => port.split(':')[1]);
  t.equal(new Set(hostPorts).size, hostPorts.length, 'no two want one port');
});

t.test('finds its servers by the names they have here', async (t) => {
  for (const name of ['redis', 'mongodb']) {
    const url = new URL(environment[`${name.toUpperCase()}_URL`]!);
    t.ok(url.hostname in services, url.hostname);
    t.ok(Object.keys(ridestream.depends_on!).includes(url.hostname), `waits for ${url.hostname}`);
  }
  const broker = loadConfig(environment).kafkaBrokers![0]!;
  t.ok(services.kafka!.environment!.KAFKA_ADVERTISED_LISTENERS!.includes(`INTERNAL://${broker}`), broker);
  const metricsPort = loadConfig(environment).metricsListen.port;
  const prometheus = parse(read('deploy/compose/prometheus.yml'));
  t.same(prometheus.scrape_configs[0].static_configs[0].targets, [`ridestream:${metricsPort}`]);
  const grafana = parse(read('deploy/compose/grafana/provisioning/datasources/prometheus.yaml'));
  const source = new URL(grafana.datasources[0].url);
  t.ok(source.hostname in services);
  t.ok(services.prometheus!.ports![0]!.endsWith(`:${source.port}`), 'the port inside the network');
});

t.test('every image is pinned, every volume and mounted file is there', async (t) => {
  for (const [name, { image, volumes = [] }] of Object.entries(services)) {
    if (image) t.match(image, /:v?\d/, `${name} names a version`);
    for (const source of volumes.map((volume) => volume.split(':')[0]!)) {
      if (source.startsWith('.')) t.ok(existsHere(source), `${name} mounts ${source}`);
      else t.ok(source in compose.volumes, `${name} uses the volume ${source}`);
    }
  }
});

t.test('the image: documented ports, known settings, refuses to start on development secrets', async (t) => {
  const defaults = listeners.map((name) => Object.values(settings).find((setting) => setting.name === name)!.default!);
  t.equal(/^EXPOSE (.*)$/m.exec(dockerfile)?.[1], defaults.map((address) => address.split(':').pop()).join(' '));
  const lines = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile)![1]!;
  const env = Object.fromEntries([...lines.matchAll(/(\w+)=(\S+)/g)].map((match) => [match[1]!, match[2]!]));
  t.same(
    Object.keys(env).filter((name) => name !== 'NODE_ENV' && !names.has(name)),
    [],
  );
  t.throws(() => loadConfig(env), /JWT_SECRET/);
  t.equal(loadConfig({ ...env, JWT_SECRET: 'x'.repeat(32) }).mode, 'production');
  t.match(dockerfile, /^USER node$/m);
  t.match(dockerfile, /\/readyz/);
});

t.test('what the image copies is not kept from the build', async (t) => {
  const ignore = read('.dockerignore').split('\n');
  const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) => match[1]!.split(' '));
  t.ok(copied.length >= 6);
  for (const path of copied) {
    t.ok(existsHere(path), `${path} is there`);
    t.ok(ignore.includes(`!${path.split('/')[0]}`), `${path} reaches the build`);
  }
});
