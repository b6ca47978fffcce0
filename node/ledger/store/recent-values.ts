type Values = Map<string, Uint8Array | undefined>;

/**
 * The newest values of keys that were read or written, absent ones too: asking LevelDB for one takes some microseconds,
 * and blocks ask again and again for the same. Two generations: what was not asked for while one filled up is forgotten.
 */
export class RecentValues {
  readonly #half: number;
  #young: Values = new Map();
  #old: Values = new Map();

  /** Keeps at most `max`. */
  constructor(max: number) {
    this.#half = Math.floor(max / 2);
  }

  /** The value, from `load` where it is not known. */
  get(key: string, load: (key: string) => Uint8Array | undefined): Uint8Array | undefined {
    const known = this.#young.get(key);
    if (known !== undefined || this.#young.has(key)) return known;
    const value = this.#old.has(key) ? this.#old.get(key) : load(key);
    this.set(key, value);
    return value;
  }

  set(key: string, value: Uint8Array | undefined): void {
    this.#young.set(key, value);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
  }
}
