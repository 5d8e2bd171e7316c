/**
 * Fetches the servers and tools of the tests that take a while, before these run, so that no test waits for a download:
 * node test/servers/fetch.ts. Where they cannot be had their tests are skipped by name; where CI=true that is an error here already.
 */
import { fetchKafka } from './kafka.ts';
import { fetchOsrm } from './osrm.ts';
import { fetchSchemathesis } from './schemathesis.ts';
import { fetchValhalla } from './valhalla.ts';

const fetched = await Promise.all([fetchOsrm(), fetchValhalla(), fetchKafka(), fetchSchemathesis()]);
for (const had of fetched) if (typeof had !== 'string') console.log(had.skip);
