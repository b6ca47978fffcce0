import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import type { Manifest } from '../files/manifest.ts';
import { jsonValue, type KeyValues, readJson } from '../interfaces.ts';

/** The manifests of all files. One change of them at a time, so that none is lost to another that began before it. */

const PREFIX = 'manifest/';
/** Manifests that are in memory at once where all are looked at. */
const PAGE = 64;

/** Bytes that a file takes at hosts. */
export function storedBytesOf({ slabs }: Manifest): number {
  return slabs.reduce((sum, slab) => sum + slab.fragments.length * FRAGMENT_BYTES, 0);
}

export class Manifests {
  readonly #store: KeyValues;
  #last: Promise<unknown> = Promise.resolve();
  #storedBytes = 0;

  constructor(store: KeyValues) {
    this.#store = store;
  }

  async open(): Promise<void> {
    this.#storedBytes = 0;
    for await (const manifest of this.all()) this.#storedBytes += storedBytesOf(manifest);
  }

  /** Bytes that all files take at hosts. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  get(name: string): Manifest | undefined {
    return readJson<Manifest>(this.#store, `${PREFIX}${name}`);
  }

  /** Files behind the one named `after`, in the order of the bytes of their names. */
  async page(after: string | undefined, limit: number): Promise<readonly Manifest[]> {
    const rows = await this.#store.range(PREFIX, {
      limit,
      ...(after === undefined ? {} : { after: `${PREFIX}${after}` }),
    });
    return rows.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as Manifest);
  }

  /** All that are there all the time; what comes or goes meanwhile may be among them or not. */
  async *all(): AsyncGenerator<Manifest> {
    for (let after: string | undefined; ; ) {
      const page = await this.page(after, PAGE);
      yield* page;
      after = page.at(-1)?.name;
      if (page.length < PAGE) return;
    }
  }

  /**
   * Puts what `next` makes of a file's manifest in its place, together with `also`; durable when it resolves. `undefined`
   * is no file.
   */
  change(
    name: string,
    next: (now: Manifest | undefined) => Manifest | undefined,
    also: Parameters<KeyValues['write']>[0] = [],
  ): Promise<Manifest | undefined> {
    const changing = this.#last.then(async () => {
      const before = this.get(name);
      const after = next(before);
      const value = after === undefined ? undefined : jsonValue(after);
      if (after !== before || also.length > 0)
        await this.#store.write([{ key: `${PREFIX}${name}`, value }, ...also]);
      this.#storedBytes +=
        (after === undefined ? 0 : storedBytesOf(after)) - (before === undefined ? 0 : storedBytesOf(before));
      return after;
    });
    this.#last = changing.catch(() => undefined);
    return changing;
  }
}
