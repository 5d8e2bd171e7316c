/**
 * npm ci must work on every platform and with every npm from 10 on. That fails when the lock file misses the packages of
 * other platforms, or when a new dependency brings an install script that newer npm will not run unasked.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';

interface LockedPackage {
  version?: string;
  resolved?: string;
  link?: boolean;
  hasInstallScript?: boolean;
  optionalDependencies?: Record<string, string>;
}

const read = (name: string) => JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const locked = read('package-lock.json').packages as Record<string, LockedPackage>;

/** Where Node would find `name` from the package at `path`, as the lock file has it. */
function find(path: string, name: string): LockedPackage | undefined {
  for (let folder = path; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('node_modules/') - 1))) {
    const found = locked[`${folder === '' ? '' : `${folder}/`}node_modules/${name}`];
    if (found !== undefined || folder === '') return found;
  }
}

t.test('names no registry', async (t) => {
  t.same(
    Object.keys(locked).filter((path) => locked[path]!.resolved?.includes('://')),
    [],
  );
});

t.test('holds the packages of every platform', async (t) => {
  const optional = Object.entries(locked).flatMap(([path, entry]) =>
    Object.keys(entry.optionalDependencies ?? {}).map((name) => ({ path, name })),
  );
  t.ok(optional.length > 20, 'there are some');
  t.same(
    optional.filter(({ path, name }) => find(path, name)?.version === undefined),
    [],
    'pin a version whose platform packages can all be had, with overrides in package.json where it is not a direct dependency',
  );
});

t.test('every install script is allowed or denied in package.json', async (t) => {
  const scripts = Object.keys(locked).filter((path) => locked[path]!.hasInstallScript);
  const names = scripts.map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
  t.same(Object.keys(read('package.json').allowScripts).sort(), [...new Set(names)].sort());
});
