import type { NodeId } from '../../ledger/ids.ts';
import { Listeners } from '../listeners.ts';
import type { Link } from './link.ts';

/** One link a peer, also when both ends dial at once or one of them restarts. */

/** Two links to one peer that are younger than this have crossed; an older one was left behind by a restart. */
const CROSSING_MS = 2_000;
/** How long the link that gave way still carries what was under way on it. */
const RETIRED_MS = 2_000;

export type PeerListener = (nodeId: NodeId, state: 'connected' | 'disconnected') => void;

export class PeerLinks {
  readonly #self: NodeId;
  readonly #links = new Map<NodeId, Link>();
  /** Links that gave way; one a peer. */
  readonly #retired = new Map<NodeId, Link>();
  readonly #changes = new Listeners<Parameters<PeerListener>>();

  constructor(self: NodeId) {
    this.#self = self;
  }

  get size(): number {
    return this.#links.size;
  }

  all(): readonly Link[] {
    return [...this.#links.values()];
  }

  has(peer: NodeId): boolean {
    return this.#links.has(peer);
  }

  get(peer: NodeId): Link | undefined {
    return this.#links.get(peer);
  }

  /** The link to a peer, when something can be sent over it. */
  open(peer: NodeId): Link | undefined {
    const link = this.#links.get(peer);
    return link === undefined || link.closed ? undefined : link;
  }

  onPeer(listener: PeerListener): () => void {
    return this.#changes.add(listener);
  }

  /** Resolves when a peer that is linked is so no more, or the signal aborts. */
  gone(peer: NodeId, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        off();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const off = this.onPeer((nodeId, state) => {
        if (nodeId === peer && state === 'disconnected') done();
      });
      signal.addEventListener('abort', done);
    });
  }

  /**
   * Takes a new link; gives the one that counts from now on. Of two that crossed, both ends keep the one that the smaller
   * node id dialled. A link to another session of the peer stays until it is known to be over.
   */
  adopt(link: Link): Link {
    const { peer } = link;
    const existing = this.open(peer);
    if (existing !== undefined && existing.session !== link.session) {
      link.close();
      return existing;
    }
    if (
      existing !== undefined &&
      existing.outbound !== link.outbound &&
      existing.outbound === this.#self < peer &&
      link.openedMs - existing.openedMs < CROSSING_MS
    ) {
      this.#retire(link);
      return existing;
    }
    const known = this.#links.has(peer);
    this.#links.set(peer, link);
    if (existing !== undefined) this.#retire(existing);
    if (!known) this.#changes.tell(peer, 'connected');
    return link;
  }

  /** A link has closed. */
  lost(link: Link): void {
    if (this.#retired.get(link.peer) === link) this.#retired.delete(link.peer);
    if (this.#links.get(link.peer) !== link) return;
    this.#links.delete(link.peer);
    this.#changes.tell(link.peer, 'disconnected');
  }

  /** The session at the other end is over, though its connection has not closed. */
  end(link: Link): void {
    this.lost(link);
    link.close();
    const retired = this.#retired.get(link.peer);
    if (retired?.session === link.session) retired.close();
  }

  /** Closes the links of a peer, or of all. */
  close(peer?: NodeId): void {
    for (const link of [...this.#links.values(), ...this.#retired.values()])
      if (peer === undefined || link.peer === peer) link.close();
  }

  /** The other end may have asked something over the link that gives way. */
  #retire(link: Link): void {
    this.#retired.get(link.peer)?.close();
    this.#retired.set(link.peer, link);
    setTimeout(() => link.close(), RETIRED_MS).unref();
  }
}
