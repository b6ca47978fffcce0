/**
 * A set that forgets: the keys added last, between half of `max` and `max` of them. Two generations, since to delete the
 * oldest one by one walks over all that was deleted before.
 */
export class RecentKeys {
  readonly #half: number;
  #young = new Set<string>();
  #old = new Set<string>();

  constructor(max: number) {
    this.#half = Math.floor(max / 2);
  }

  get isEmpty(): boolean {
    return this.#young.size === 0 && this.#old.size === 0;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  add(key: string): void {
    this.#young.add(key);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
