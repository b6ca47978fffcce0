import { textOf, utf8 } from '../ledger/bytes.ts';
import type { KeyValues } from './interfaces.ts';

/**
 * Counts by id that outlive a crash. One write at a time, and the next takes all that changed meanwhile: many counts a
 * second cost a few writes.
 */
export class Tally<Id extends string> {
  readonly #store: KeyValues;
  readonly #prefix: string;
  readonly #counts = new Map<Id, number>();
  readonly #changed = new Set<Id>();
  /** The write that runs; never rejects. */
  #running: Promise<void> = Promise.resolve();
  /** The write that comes after it, when one was asked for. */
  #next: Promise<void> | undefined;

  constructor(store: KeyValues, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  /** Takes up what was counted before a restart. */
  async open(): Promise<void> {
    for (const { key, value } of await this.#store.range(this.#prefix))
      this.#counts.set(key.slice(this.#prefix.length) as Id, Number(textOf(value)));
  }

  ids(): Iterable<Id> {
    return this.#counts.keys();
  }

  get(id: Id): number {
    return this.#counts.get(id) ?? 0;
  }

  /** Counts at once; on disk when it resolves. `undefined` forgets the count. */
  set(id: Id, count: number | undefined): Promise<void> {
    if (count === undefined) this.#counts.delete(id);
    else this.#counts.set(id, count);
    this.#changed.add(id);
    this.#next ??= this.#running.then(() => this.#save());
    return this.#next;
  }

  #save(): Promise<void> {
    this.#next = undefined;
    const ids = [...this.#changed];
    this.#changed.clear();
    const saving = this.#store.write(
      ids.map((id) => {
        const count = this.#counts.get(id);
        return {
          key: `${this.#prefix}${id}`,
          value: count === undefined ? undefined : utf8(String(count)),
        };
      }),
    );
    this.#running = saving.catch(() => {
      // Whoever counts next writes these too.
      for (const id of ids) this.#changed.add(id);
    });
    return saving;
  }
}
