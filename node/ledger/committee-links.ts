import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { Effect } from '../../ledger/consensus/events.ts';
import { type ConsensusMessage, decodeMessage, encodeMessage } from '../../ledger/consensus/messages.ts';
import { LedgerError } from '../../ledger/errors.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { NODES } from '../../ledger/state/entities.ts';
import { KIND } from '../network/kinds.ts';
import type { Network } from '../network/network.ts';
import type { Chain } from './chain/chain.ts';
import type { Conduct } from './gossip/conduct.ts';

/** What the members of the committee say to each other and to everybody, and the links that this takes. */

const MESSAGE_BYTES_MAX = 1_100_000;
/** Members that are not linked are dialled this often. */
const REACH_MS = 2_000;

export interface CommitteeLinksOptions {
  readonly chain: Chain;
  readonly network: Network;
  readonly nodeId: NodeId;
  readonly conduct: Conduct;
  readonly signal: AbortSignal;
  /** As it is now: a snapshot has it begin anew. */
  consensus(): Consensus;
  heard(from: NodeId, message: ConsensusMessage): void;
}

export class CommitteeLinks {
  readonly #options: CommitteeLinksOptions;

  constructor(options: CommitteeLinksOptions) {
    this.#options = options;
    const { chain, network, signal } = options;
    network.handle(KIND.consensus, MESSAGE_BYTES_MAX, (from, body, link) => {
      this.#hear(from, body, link);
      return undefined;
    });
    network.preferBy((nodeId) => this.#isMember(nodeId) || chain.state.read(NODES, nodeId) !== undefined);
    const timer = setInterval(() => this.#reachMembers(), REACH_MS);
    timer.unref();
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  send(to: Extract<Effect, { kind: 'send' }>['to'], message: ConsensusMessage): void {
    const { network } = this.#options;
    const body = encodeMessage(message);
    if (to === 'all') network.broadcast(KIND.consensus, body);
    else if (to === 'members')
      for (const member of this.#otherMembers()) network.notify(member, KIND.consensus, body);
    else network.notify(to, KIND.consensus, body);
  }

  #hear(from: NodeId, body: Uint8Array, link: object): void {
    const { conduct, heard } = this.#options;
    if (!conduct.takes(from, link, this.#isMember(from), body.length, performance.now())) return;
    try {
      heard(from, decodeMessage(body));
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      conduct.refused(from, error.code, performance.now());
    }
  }

  /** Votes go from member to member: each needs a link to every other, whoever its seeds are. */
  #reachMembers(): void {
    const { network, consensus } = this.#options;
    if (consensus().isMember) for (const member of this.#otherMembers()) network.reach(member);
  }

  #isMember(nodeId: NodeId): boolean {
    return this.#options.consensus().committee.indexOf(nodeId) !== undefined;
  }

  #otherMembers(): readonly NodeId[] {
    const { nodeId: self, consensus } = this.#options;
    return consensus()
      .committee.seats.map(({ nodeId }) => nodeId)
      .filter((nodeId) => nodeId !== self);
  }
}
