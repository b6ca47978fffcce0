/** A token bucket: so much a second in the long run, `burst` at once. */
export class Budget {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #atMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#left = burst;
    this.#atMs = nowMs;
  }

  /** Takes `amount` when so much is left; otherwise takes nothing. */
  affords(amount: number, nowMs: number): boolean {
    if (this.spend(amount, nowMs) === 0) return true;
    this.#left += amount;
    return false;
  }

  /** Takes `amount`, into debt if need be. Gives the milliseconds until nothing is owed; 0 within the budget. */
  spend(amount: number, nowMs: number): number {
    const earned = (Math.max(0, nowMs - this.#atMs) * this.#perSecond) / 1_000;
    this.#left = Math.min(this.#burst, this.#left + earned) - amount;
    this.#atMs = nowMs;
    return this.#left >= 0 ? 0 : Math.ceil((-this.#left / this.#perSecond) * 1_000);
  }
}
