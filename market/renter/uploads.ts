import { textOf, toHex, utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { Slab } from '../files/manifest.ts';
import type { Scheme } from '../files/scheme.ts';
import { jsonValue, type KeyValues, readJson } from '../interfaces.ts';

/**
 * What uploads that are not done have placed, slab by slab: whoever puts a file again after a crash, or after the network
 * was gone, does not send again, nor pay twice for, what is there. What nobody goes on with is garbage after a while.
 */

type Changes = Parameters<KeyValues['write']>[0];

interface Head {
  readonly name: string;
  readonly scheme: Scheme;
  /** Wall time at which something was placed last. */
  readonly atMs: number;
}

interface Row {
  /** SHA-256 of the plaintext, hex. */
  readonly plainHash: string;
  readonly slab: Slab;
}

/** Rows that are in memory at once where all are looked at. */
const PAGE = 256;

export class Uploads {
  readonly #store: KeyValues;
  readonly #keptMs: number;
  readonly #now: () => number;

  constructor(store: KeyValues, keptMs: number, now: () => number) {
    this.#store = store;
    this.#keptMs = keptMs;
    this.#now = now;
  }

  /** The scheme of an upload of this name that was begun. */
  schemeOf(name: string): Scheme | undefined {
    return readJson<Head>(this.#store, `upload/${idOf(name)}`)?.scheme;
  }

  /** Begins an upload, or goes on with it when the scheme is the same. */
  async begin(name: string, scheme: Scheme): Promise<Upload> {
    const id = idOf(name);
    const head = readJson<Head>(this.#store, `upload/${id}`);
    const same = head?.scheme.data === scheme.data && head.scheme.parity === scheme.parity;
    if (head !== undefined && !same) await this.#store.write(await this.#removal(id));
    const write = (row?: Row, index = 0): Promise<void> => {
      const next: Head = { name, scheme, atMs: this.#now() };
      return this.#store.write([
        { key: `upload/${id}`, value: jsonValue(next) },
        ...(row === undefined ? [] : [{ key: slabKey(id, index), value: jsonValue(row) }]),
      ]);
    };
    await write();
    const rows = new Map<number, Row>();
    for await (const { key, row } of this.#rows(id)) rows.set(Number(key.split('/').at(-1)), row);
    return {
      slabs: [...rows.values()].map(({ slab }) => slab),
      known: (index, plainHash) => {
        const row = rows.get(index);
        return row?.plainHash === plainHash ? row.slab : undefined;
      },
      placed: (index, plainHash, slab) => write({ plainHash, slab }, index),
      removal: () => this.#removal(id),
    };
  }

  /** Slabs whose fragments are needed, because somebody may go on. */
  async *slabs(): AsyncGenerator<Slab> {
    for (const { key } of await this.#store.range('upload/'))
      for await (const { row } of this.#rows(key.slice('upload/'.length))) yield row.slab;
  }

  /** Forgets uploads that nobody went on with, but those of the names in `busy`. */
  async tidy(busy: ReadonlySet<string>): Promise<void> {
    for (const { key, value } of await this.#store.range('upload/')) {
      const { name, atMs } = JSON.parse(textOf(value)) as Head;
      const ageMs = this.#now() - atMs;
      // A clock that was set back says nothing about the age.
      if (busy.has(name) || (ageMs >= 0 && ageMs < this.#keptMs)) continue;
      await this.#store.write(await this.#removal(key.slice('upload/'.length)));
    }
  }

  async #removal(id: string): Promise<Changes> {
    const keys = [`upload/${id}`];
    for await (const { key } of this.#rows(id)) keys.push(key);
    return keys.map((key) => ({ key, value: undefined }));
  }

  async *#rows(id: string): AsyncGenerator<{ readonly key: string; readonly row: Row }> {
    const prefix = `upload-slab/${id}/`;
    for (let after = prefix; ; ) {
      const page = await this.#store.range(prefix, { after, limit: PAGE });
      for (const { key, value } of page) yield { key, row: JSON.parse(textOf(value)) as Row };
      after = page.at(-1)?.key ?? after;
      if (page.length < PAGE) return;
    }
  }
}

/** One upload, and what an earlier one of the same name had placed. */
export interface Upload {
  readonly slabs: readonly Slab[];
  /** The slab that was placed for this content at this place of the file. */
  known(index: number, plainHash: string): Slab | undefined;
  /** Every fragment of a slab is at its host; on disk when it resolves. */
  placed(index: number, plainHash: string, slab: Slab): Promise<void>;
  /** What is to be written with the manifest: the upload is done. */
  removal(): Promise<Changes>;
}

function idOf(name: string): string {
  return toHex(sha256(utf8(name))).slice(0, 32);
}

function slabKey(id: string, index: number): string {
  return `upload-slab/${id}/${String(index).padStart(10, '0')}`;
}
