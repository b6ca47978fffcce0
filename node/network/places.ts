import type { NodeId } from '../../ledger/ids.ts';
import type { BulkLinks } from './bulk-links.ts';
import { CONNECTIONS_MAX } from './bulk-pool.ts';
import { placeFor } from './fair-share.ts';
import type { Purpose } from './hello.ts';
import type { Link } from './link.ts';
import type { PeerLinks } from './peer-links.ts';

/** Who may be connected: there are so many places, some of which strangers cannot take, and a newcomer may displace another. */

const PEERS_MAX = 64;
/** Of these, places that strangers cannot take. */
const PREFERRED_PLACES = 16;
const BULK_INBOUND_MAX = 128;
const BULK_PREFERRED_PLACES = 32;
/** Connections of all kinds that are open at once. */
export const PLACES_MAX = PEERS_MAX + BULK_INBOUND_MAX;

export interface PlacesOptions {
  readonly links: PeerLinks;
  readonly bulk: BulkLinks;
  /** Whether a peer is one to keep connected to. */
  isSeed(peer: NodeId): boolean;
}

export class Places {
  readonly #options: PlacesOptions;
  #prefers: (peer: NodeId) => boolean = () => false;

  constructor(options: PlacesOptions) {
    this.#options = options;
  }

  /** Sets whom to keep a place for. */
  preferBy(prefers: (peer: NodeId) => boolean): void {
    this.#prefers = prefers;
  }

  prefers(peer: NodeId): boolean {
    return this.#prefers(peer);
  }

  /** Where a peer may come in: to a free place, to that of a connection which gives way, or not at all. */
  inbound(peer: NodeId, purpose: Purpose, address: string): 'free' | Link | undefined {
    const { links, bulk, isSeed } = this.#options;
    const newcomer = { address, preferred: this.#prefers(peer) };
    if (purpose === 'link') {
      if (links.has(peer)) return 'free';
      const held = links.all();
      const strangers = held.filter(
        (link) => !link.outbound && !isSeed(link.peer) && !this.#prefers(link.peer),
      );
      return placeFor(newcomer, PEERS_MAX - held.length, PREFERRED_PLACES, strangers);
    }
    const held = bulk.inbound;
    // An honest peer has no more but when it restarted, and then it has left the first behind.
    const own = held.filter((link) => link.peer === peer);
    if (own.length >= CONNECTIONS_MAX) return own[0];
    const strangers = held.filter((link) => !link.busy && !this.#prefers(link.peer));
    return placeFor(newcomer, BULK_INBOUND_MAX - held.length, BULK_PREFERRED_PLACES, strangers);
  }

  /** Before a peer that was dialled is linked: where no place is left, the link that was idle longest gives way, but none to a seed. */
  makeRoomFor(peer: NodeId): void {
    const { links, isSeed } = this.#options;
    const places = PEERS_MAX - (this.#prefers(peer) ? 0 : PREFERRED_PLACES);
    if (links.size < places || links.has(peer)) return;
    const idle = links
      .all()
      .filter((link) => !link.busy && !isSeed(link.peer))
      .reduce<Link | undefined>((a, b) => (a === undefined || b.usedMs < a.usedMs ? b : a), undefined);
    idle?.close();
  }
}
