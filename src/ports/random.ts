/** Randomness as a port, so that simulations and tests are repeatable. */
export interface Random {
  /** `n` unpredictable bytes. */
  bytes(n: number): Uint8Array;
}
