/**
 * The newest values of keys that were read or written, absent ones too: asking LevelDB for one takes some microseconds,
 * and blocks ask again and again for the same. What was first taken in leaves first.
 */
export class RecentValues {
  readonly #max: number;
  readonly #values = new Map<string, Uint8Array | undefined>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The value, from `load` where it is not known. */
  get(key: string, load: (key: string) => Uint8Array | undefined): Uint8Array | undefined {
    const known = this.#values.get(key);
    if (known !== undefined || this.#values.has(key)) return known;
    const value = load(key);
    this.set(key, value);
    return value;
  }

  set(key: string, value: Uint8Array | undefined): void {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.#max) return;
    for (const oldest of this.#values.keys()) {
      this.#values.delete(oldest);
      break;
    }
  }

  clear(): void {
    this.#values.clear();
  }
}
