import { randomBytes } from 'node:crypto';
import { textOf, toHex } from '../../ledger/bytes.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import type { Manifest } from '../files/manifest.ts';
import { jsonValue, type KeyValues, readJson } from '../interfaces.ts';

/**
 * The manifests of all files. One change of them at a time, so that none is lost to another that began before it. Names of
 * files that changed since the newest snapshot of all manifests are marked.
 */

/** The name under which the snapshot is kept: one that no file can have, and before all others. */
export const SNAPSHOT = '\u0000files';
const PREFIX = 'manifest/';
const MARK = 'changed/';
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
  #count = 0;

  constructor(store: KeyValues) {
    this.#store = store;
  }

  async open(): Promise<void> {
    this.#storedBytes = 0;
    this.#count = 0;
    for await (const manifest of this.all()) this.#counted(undefined, manifest);
  }

  /** Bytes that all files take at hosts, the snapshot too. */
  get storedBytes(): number {
    return this.#storedBytes;
  }

  /** How many files there are. */
  get count(): number {
    return this.#count;
  }

  #counted(before: Manifest | undefined, after: Manifest | undefined): void {
    this.#storedBytes += bytesOf(after) - bytesOf(before);
    this.#count += countOf(after) - countOf(before);
  }

  get(name: string): Manifest | undefined {
    return readJson<Manifest>(this.#store, `${PREFIX}${name}`);
  }

  /** Files behind the one named `after`, in the order of the bytes of their names; the snapshot is none. */
  page(after: string = SNAPSHOT, limit: number): Promise<readonly Manifest[]> {
    return this.#page(after, limit);
  }

  async #page(after: string | undefined, limit: number): Promise<readonly Manifest[]> {
    const rows = await this.#store.range(PREFIX, {
      limit,
      ...(after === undefined ? {} : { after: `${PREFIX}${after}` }),
    });
    return rows.map(({ value }) => JSON.parse(textOf(value)) as Manifest);
  }

  /** All that are there all the time, the snapshot first; what comes or goes meanwhile may be among them or not. */
  async *all(): AsyncGenerator<Manifest> {
    for (let after: string | undefined; ; ) {
      const page = await this.#page(after, PAGE);
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
      const mark = name === SNAPSHOT ? [] : [newMark(name)];
      if (after !== before || also.length > 0)
        await this.#store.write([{ key: `${PREFIX}${name}`, value }, ...mark, ...also]);
      this.#counted(before, after);
      return after;
    });
    this.#last = changing.catch(() => undefined);
    return changing;
  }

  /** Names of files that changed since the snapshot, and what tells one change from the next. */
  async marks(): Promise<readonly Mark[]> {
    const rows = await this.#store.range(MARK);
    return rows.map(({ key, value }) => ({ name: key.slice(MARK.length), mark: toHex(value) }));
  }

  /** Marks every file. */
  async markAll(): Promise<void> {
    for await (const { name } of this.all()) if (name !== SNAPSHOT) await this.#store.write([newMark(name)]);
  }

  /** Keeps a new snapshot, and takes away those of the marks that were not set again since it was begun. */
  fold(snapshot: Manifest, marks: readonly Mark[], also: Parameters<KeyValues['write']>[0]): Promise<void> {
    const folding = this.#last.then(async () => {
      const before = this.get(SNAPSHOT);
      const same = marks.filter(
        ({ name, mark }) => toHex(this.#store.get(`${MARK}${name}`) ?? new Uint8Array(0)) === mark,
      );
      await this.#store.write([
        { key: `${PREFIX}${SNAPSHOT}`, value: jsonValue(snapshot) },
        ...same.map(({ name }) => ({ key: `${MARK}${name}`, value: undefined })),
        ...also,
      ]);
      this.#counted(before, snapshot);
    });
    this.#last = folding.catch(() => undefined);
    return folding;
  }
}

/** That a file changed; a second change gives another mark. */
export interface Mark {
  readonly name: string;
  readonly mark: string;
}

function newMark(name: string): { readonly key: string; readonly value: Uint8Array } {
  return { key: `${MARK}${name}`, value: new Uint8Array(randomBytes(8)) };
}

function countOf(manifest: Manifest | undefined): number {
  return manifest === undefined || manifest.name === SNAPSHOT ? 0 : 1;
}

function bytesOf(manifest: Manifest | undefined): number {
  return manifest === undefined ? 0 : storedBytesOf(manifest);
}
