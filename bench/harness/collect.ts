/**
 * Loaded into every server that is measured, ours and the peers', before its own program: on SIGUSR2 it collects its garbage,
 * so that what is read of its memory afterwards is what it keeps. Until then it costs nothing.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** As V8 does when memory runs out: unused pages go back to the system too. The second time takes what the first set free. */
process.on('SIGUSR2', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as (options: object) => void;
  for (let i = 0; i < 2; i++) gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
});
