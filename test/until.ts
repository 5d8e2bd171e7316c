/** Waiting for a condition instead of for a guessed time. */

/** Long enough for a machine on which several suites run: only a test that fails waits for it. */
export const LIMIT_MS = 40_000;

/** Resolves as soon as `condition` holds; looks again every few milliseconds. @throws Error that names `what` after the limit. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs: number = LIMIT_MS,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}
