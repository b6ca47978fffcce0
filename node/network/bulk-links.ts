import type { NodeId } from '../../ledger/ids.ts';
import { BulkPool } from './bulk-pool.ts';
import type { Link } from './link.ts';
import { NetworkError } from './network-error.ts';

/** Connections for large exchanges: those that were dialled, in a pool a peer, and those that came in. */

const POOLS_MAX = 256;

export class BulkLinks {
  /** Dials a peer; the callback is to hear when the connection closes. */
  readonly #dial: (peer: NodeId, onClose: () => void) => Promise<Link>;
  readonly #pools = new Map<NodeId, BulkPool>();
  readonly #inbound = new Set<Link>();

  constructor(dial: (peer: NodeId, onClose: () => void) => Promise<Link>) {
    this.#dial = dial;
  }

  /** Those that came in. */
  get inbound(): readonly Link[] {
    return [...this.#inbound];
  }

  cameIn(link: Link): void {
    this.#inbound.add(link);
  }

  /** One that came in has closed. */
  lost(link: Link): void {
    this.#inbound.delete(link);
  }

  /** Bytes over the connections that are open and were dialled. */
  bytes(peer: NodeId): { readonly in: number; readonly out: number } {
    const pool = this.#pools.get(peer);
    return { in: pool?.bytesIn ?? 0, out: pool?.bytesOut ?? 0 };
  }

  /** The connections to dial, or dialled. Throws NetworkError `overloaded`. */
  poolOf(peer: NodeId): BulkPool {
    const existing = this.#pools.get(peer);
    if (existing !== undefined) return existing;
    if (this.#pools.size >= POOLS_MAX)
      for (const [nodeId, { unused }] of this.#pools) if (unused) this.#pools.delete(nodeId);
    if (this.#pools.size >= POOLS_MAX)
      throw new NetworkError('overloaded', 'transfers with too many nodes are under way');
    const pool = new BulkPool((onClose) => this.#dial(peer, onClose));
    this.#pools.set(peer, pool);
    return pool;
  }

  /** Closes the connections with a peer; of those that came in, only those of `session` where one is given. */
  end(peer: NodeId, session?: string): void {
    this.#pools.get(peer)?.close();
    this.#pools.delete(peer);
    for (const link of this.#inbound)
      if (link.peer === peer && (session === undefined || link.session === session)) link.close();
  }

  close(): void {
    for (const link of this.#inbound) link.close();
    for (const pool of this.#pools.values()) pool.close();
  }
}
