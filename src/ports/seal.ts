/** Texts that only this platform can have written: whoever holds the key, on any node, can tell. They can be read by anyone. */
export interface Seal {
  /** `text` and its signature, in characters that are safe in URLs and JSON. */
  close(text: string): string;
  /** The text of a sealed one; null when it was not sealed with a key of ours or was changed since. */
  open(sealed: string): string | null;
}
