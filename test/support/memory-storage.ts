import type { Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import type { FragmentShelf } from '../../market/host/shelf.ts';
import type { KeyValues } from '../../market/interfaces.ts';

/** A market's database and a host's shelf in memory; what outlives a crash of the node that uses them. */

export class MemoryStore implements KeyValues {
  readonly rows = new Map<string, Uint8Array>();

  get(key: string): Uint8Array | undefined {
    return this.rows.get(key);
  }

  async write(changes: readonly { key: string; value: Uint8Array | undefined }[]): Promise<void> {
    for (const { key, value } of changes)
      value === undefined ? this.rows.delete(key) : this.rows.set(key, value);
  }

  async range(
    prefix: string,
    {
      after = '',
      limit = Number.POSITIVE_INFINITY,
    }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly { key: string; value: Uint8Array }[]> {
    return [...this.rows]
      .filter(([key]) => key.startsWith(prefix) && Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0)
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .slice(0, limit)
      .map(([key, value]) => ({ key, value }));
  }
}

export class MemoryShelf implements FragmentShelf {
  limitBytes = 1_000 * FRAGMENT_BYTES;
  readonly kept = new Map<Hash, Uint8Array>();
  readonly #stored = new Map<Hash, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  get roomBytes(): number {
    return this.limitBytes - this.kept.size * FRAGMENT_BYTES;
  }

  has(root: Hash): boolean {
    return this.kept.has(root);
  }

  storedMs(root: Hash): number | undefined {
    return this.#stored.get(root);
  }

  roots(): Iterable<Hash> {
    return this.kept.keys();
  }

  async put(root: Hash, bytes: Uint8Array): Promise<void> {
    if (this.kept.has(root)) return;
    this.kept.set(root, bytes);
    this.#stored.set(root, this.#now());
  }

  async get(root: Hash): Promise<Uint8Array | undefined> {
    return this.kept.get(root);
  }

  async remove(roots: readonly Hash[]): Promise<void> {
    for (const root of roots) {
      this.kept.delete(root);
      this.#stored.delete(root);
    }
  }
}
