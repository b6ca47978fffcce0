/** What failed is left alone for a while: longer every time up to a bound, and not as long as others leave it alone. */

const FACTOR = 1.6;
/** Either way, so that those who lost the same node do not all come back at once. */
const JITTER = 0.2;
const KEYS_MAX = 4_096;

export class BackOff {
  readonly #leastMs: number;
  readonly #mostMs: number;
  readonly #failures = new Map<string, { readonly waitMs: number; readonly untilMs: number }>();

  constructor(leastMs: number, mostMs: number) {
    this.#leastMs = leastMs;
    this.#mostMs = mostMs;
  }

  /** For how long it is to be left alone yet; 0 when it may be tried. `nowMs`: any clock that only goes forward. */
  restMs(key: string, nowMs: number): number {
    return Math.max(0, (this.#failures.get(key)?.untilMs ?? nowMs) - nowMs);
  }

  failed(key: string, nowMs: number): void {
    const before = this.#failures.get(key)?.waitMs;
    const waitMs = before === undefined ? this.#leastMs : Math.min(before * FACTOR, this.#mostMs);
    this.#failures.delete(key);
    this.#failures.set(key, { waitMs, untilMs: nowMs + waitMs * (1 - JITTER + 2 * JITTER * Math.random()) });
    for (const [oldest] of this.#failures) {
      if (this.#failures.size <= KEYS_MAX) break;
      this.#failures.delete(oldest);
    }
  }

  worked(key: string): void {
    this.#failures.delete(key);
  }
}
