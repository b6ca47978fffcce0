/** What was opened, to be closed in reverse: the last first, because it may stand on the others. */
export class Closing {
  readonly #parts: (() => Promise<void> | void)[] = [];

  add(close: () => Promise<void> | void): void {
    this.#parts.push(close);
  }

  /** A second time there is nothing left to close. */
  async all(): Promise<void> {
    for (const close of this.#parts.splice(0).reverse()) await close();
  }
}
