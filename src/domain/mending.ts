/** Seeing to what was left behind, where one that cannot be mended must not keep the others from it. */

/**
 * Sees to each in turn.
 * @param how resolves false where there was nothing to mend
 * @param failed is told of what `how` threw
 * @returns how many were mended
 */
export async function mendEach<T>(
  all: readonly T[],
  how: (one: T) => Promise<unknown>,
  failed: (error: unknown, one: T) => void,
): Promise<number> {
  let mended = 0;
  for (const one of all) {
    try {
      if ((await how(one)) !== false) mended++;
    } catch (error) {
      failed(error, one);
    }
  }
  return mended;
}
