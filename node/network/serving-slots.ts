import type { NodeId } from '../../ledger/ids.ts';
import { NetworkError } from './network-error.ts';

/** Bounds how much of one kind of costly answer is under way: in all, and for one peer, so that nobody takes all of it. */
export class ServingSlots {
  readonly #inAll: number;
  readonly #perPeer: number;
  readonly #taken = new Map<NodeId, number>();
  #sum = 0;

  constructor(inAll: number, perPeer: number) {
    this.#inAll = inAll;
    this.#perPeer = perPeer;
  }

  /** Works out an answer in a slot. Throws NetworkError `overloaded` when there is none. */
  async answer<T>(peer: NodeId, work: () => Promise<T> | T): Promise<T> {
    const taken = this.#taken.get(peer) ?? 0;
    if (this.#sum >= this.#inAll || taken >= this.#perPeer)
      throw new NetworkError('overloaded', 'too many such requests are being answered; ask again later');
    this.#sum++;
    this.#taken.set(peer, taken + 1);
    try {
      return await work();
    } finally {
      this.#sum--;
      const left = (this.#taken.get(peer) ?? 1) - 1;
      if (left === 0) this.#taken.delete(peer);
      else this.#taken.set(peer, left);
    }
  }
}
