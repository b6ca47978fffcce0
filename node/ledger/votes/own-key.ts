import type { Committee } from '../../../ledger/consensus/committee.ts';
import type { Franchise } from '../../../ledger/consensus/epoch-state.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import type { Network } from '../../network/network.ts';

/**
 * Whether this member alone signs with its key. Where a copy of it runs, others let only one of the two in; the other cannot
 * ask a quorum what it signed, and does not vote. So does one that was cut off: a copy may have been let in meanwhile.
 */

/** Nobody votes for so long after it was refused because of another: whoever still refuses it is dialled again before. */
const TWIN_MS = 12_000;

export interface OwnKeyOptions {
  readonly network: Pick<Network, 'onPeer' | 'onTwin' | 'connected' | 'peers'>;
  readonly nodeId: NodeId;
  readonly signal: AbortSignal;
  state(): { readonly committee: Committee; readonly franchise: Franchise };
  /** To give the vote up, and ask again in `restMs` at the earliest. */
  doubt(restMs: number): void;
}

/** Watches links and twins until the signal aborts. */
export function watchOwnKey({ network, nodeId, signal, state, doubt }: OwnKeyOptions): void {
  const membersLinked = (): number =>
    state().committee.seats.filter((seat) => seat.nodeId !== nodeId && network.connected(seat.nodeId)).length;
  /** Enough others have this one linked that no copy gets a quorum. */
  const holdsQuorum = (): boolean => {
    const { quorum } = state().committee;
    return quorum === 1 ? network.peers().length > 0 : membersLinked() >= quorum - 1;
  };
  let isCutOff = false;
  const offs = [
    network.onTwin(({ refused }) => {
      if (state().franchise !== 'voting' || (refused && !holdsQuorum())) doubt(TWIN_MS);
    }),
    network.onPeer((peer, change) => {
      const { committee, franchise } = state();
      if (committee.quorum === 1 || committee.indexOf(peer) === undefined) return;
      if (change === 'disconnected')
        isCutOff ||= franchise === 'voting' && membersLinked() <= committee.faulty;
      else if (isCutOff) {
        isCutOff = false;
        doubt(0);
      }
    }),
  ];
  const unwatch = (): void => {
    for (const off of offs) off();
  };
  signal.addEventListener('abort', unwatch, { once: true });
}
