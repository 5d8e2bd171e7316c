/**
 * A witness must not share its mistakes with the accused: the simulator takes nothing from the server's code. The comparison of
 * dispatchers is no witness: what it measures is the server's own rules, so it calls them, and nothing else of the simulator uses it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('../../', import.meta.url));
const specifier = /(?:from\s+|import\s*\(?\s*)'([^']+)'/g;

t.test('no file of the simulator imports the server', async (t) => {
  const files = readdirSync(join(root, 'sim'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const isComparison = (name: string): boolean => /^dispatch(\.ts$|[/\\])/.test(name);
  t.ok(files.length > 30);
  const wrong = files.flatMap((name) => {
    const file = join(root, 'sim', name);
    const imports = [...readFileSync(file, 'utf8').matchAll(specifier)].map((match) => match[1]!);
    const isServer = (path: string) =>
      path.startsWith('#src') ||
      (path.startsWith('.') && !relative(join(root, 'sim'), resolve(dirname(file), path)).match(/^[^.]/));
    const isWrong = (path: string): boolean =>
      isComparison(name)
        ? isServer(path) && !/\/domain\/[a-z]+\/rules\.ts$/.test(path)
        : isServer(path) || /\/dispatch\//.test(path);
    return imports.filter(isWrong).map((path) => `${name}: ${path}`);
  });
  t.same(wrong, []);
});
