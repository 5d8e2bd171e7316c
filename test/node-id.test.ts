/** Names of nodes to which none was given. */
import t from 'tap';
import { loadConfig } from '../src/config.ts';
import { defaultNodeId } from '../src/node-id.ts';

t.test('no two nodes have one name, though host and process id are the same', async (t) => {
  const names = Array.from({ length: 10_000 }, () => defaultNodeId('ridestream'));
  t.equal(new Set(names).size, names.length);
});

t.test(
  'the name tells the host, by what differs between hosts, and is a NODE_ID that workers can add to',
  async (t) => {
    const cases = {
      'ridestream-6d4cf56db6-x2k4q': /^f56db6-x2k4q-\w{7}$/,
      'ip-10-0-12-34.ec2.internal': /^p-10-0-12-34-\w{7}$/,
      Übung_1: /^bung-1-\w{7}$/,
      '': /^node-\w{7}$/,
      '---': /^node-\w{7}$/,
      vm: /^vm-\w{7}$/,
    };
    for (const [host, pattern] of Object.entries(cases)) {
      const name = defaultNodeId(host);
      t.match(name, pattern, host);
      t.equal(loadConfig({ NODE_ID: name, WORKERS: '2' }).nodeId, name);
    }
  },
);
t.end();
