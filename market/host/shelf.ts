import type { Hash } from '../../ledger/ids.ts';

/** Where a host keeps fragments; the node provides it. */
export interface FragmentShelf {
  readonly limitBytes: number;
  readonly usedBytes: number;
  has(root: Hash): boolean;
  /** When it was stored, wall time. */
  storedMs(root: Hash): number | undefined;
  roots(): Iterable<Hash>;
  /** Durable when it resolves. Throws MarketError `no-room`. */
  put(root: Hash, bytes: Uint8Array): Promise<void>;
  get(root: Hash): Promise<Uint8Array | undefined>;
  remove(roots: readonly Hash[]): Promise<void>;
}
