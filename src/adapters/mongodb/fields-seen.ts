/**
 * Names of the fields that documents had when this process last saw them, for compareAndSet's guess. Bounded; what
 * falls out costs one more read.
 */
const MOST = 20_000;

export class FieldsSeen {
  readonly #byId = new Map<string, string>();
  /** Documents have few shapes; each text is kept once. */
  readonly #texts = new Map<string, string>();

  get(id: string): string | undefined {
    return this.#byId.get(id);
  }

  set(id: string, fields: string): void {
    this.#byId.delete(id);
    if (this.#byId.size >= MOST) this.#byId.delete(this.#byId.keys().next().value!);
    if (this.#texts.size >= MOST) this.#texts.clear();
    let text = this.#texts.get(fields);
    if (text === undefined) {
      text = fields;
      this.#texts.set(fields, fields);
    }
    this.#byId.set(id, text);
  }
}
