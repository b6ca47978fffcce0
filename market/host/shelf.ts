import type { Hash } from '../../ledger/ids.ts';

/** Where a host keeps fragments; the node provides it. */
export interface FragmentShelf {
  /** What can still be put. */
  readonly roomBytes: number;
  has(root: Hash): boolean;
  /** When it was stored, wall time. */
  storedMs(root: Hash): number | undefined;
  roots(): Iterable<Hash>;
  /** Durable when it resolves; bytes that were lost since they were put are put again. Throws MarketError `no-room`. */
  put(root: Hash, bytes: Uint8Array): Promise<void>;
  get(root: Hash): Promise<Uint8Array | undefined>;
  remove(roots: readonly Hash[]): Promise<void>;
}
