import type { Hash, NodeId } from '../../ledger/ids.ts';

/** What one upload or one repair brings to hosts. */
export interface Arrival {
  /** To be called before the fragment is put under contract. */
  expect(host: NodeId, root: Hash): void;
  /** The manifest that names the fragments is on disk, or there will be none. */
  end(): void;
}

/**
 * Fragments that come under contract before a manifest names them. A crash forgets them, and so makes garbage of what
 * uploads and repairs had begun.
 */
export class Arrivals {
  readonly #open = new Set<ReadonlySet<string>>();
  readonly #ended = new Set<ReadonlySet<string>>();
  #watchers = 0;

  begin(): Arrival {
    const names = new Set<string>();
    this.#open.add(names);
    return {
      expect: (host, root) => void names.add(nameOf(host, root)),
      end: () => {
        if (this.#open.delete(names) && this.#watchers > 0) this.#ended.add(names);
      },
    };
  }

  /** Whether a fragment arrives at a host, or did while `task` of `watch` runs. */
  has(host: NodeId, root: Hash): boolean {
    const name = nameOf(host, root);
    for (const names of this.#open) if (names.has(name)) return true;
    for (const names of this.#ended) if (names.has(name)) return true;
    return false;
  }

  /** While `task` runs, what has arrived still counts as arriving: manifests that it read may be older. */
  async watch<T>(task: () => Promise<T>): Promise<T> {
    this.#watchers++;
    try {
      return await task();
    } finally {
      if (--this.#watchers === 0) this.#ended.clear();
    }
  }
}

/** A fragment at a host, as one string. */
export function nameOf(host: NodeId, root: Hash): string {
  return `${host}/${root}`;
}
