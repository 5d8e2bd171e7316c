/**
 * A set that nearly always has one member: the sessions of a user, the topics of a session, the followers of a user's topic.
 * The one is held as it is, and only a second one makes a Set, which would cost an idle session more than what it holds.
 */
export class Few<T extends object> {
  #held: T | Set<T> | null = null;

  get size(): number {
    const held = this.#held;
    if (held instanceof Set) return held.size;
    return held === null ? 0 : 1;
  }

  has(member: T): boolean {
    const held = this.#held;
    return held instanceof Set ? held.has(member) : held === member;
  }

  add(member: T): void {
    const held = this.#held;
    if (held === null) this.#held = member;
    else if (held instanceof Set) held.add(member);
    else if (held !== member) this.#held = new Set([held, member]);
  }

  delete(member: T): void {
    const held = this.#held;
    if (held === member) this.#held = null;
    // A Set is kept until it is empty: who iterates it sees what is taken out meanwhile.
    else if (held instanceof Set && held.delete(member) && held.size === 0) this.#held = null;
  }

  [Symbol.iterator](): Iterator<T> {
    const held = this.#held;
    if (held instanceof Set) return held.values();
    return (held === null ? [] : [held]).values();
  }
}
