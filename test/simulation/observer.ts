import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import { positionKey, type Vote } from '../../ledger/consensus/votes.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import type { Agenda } from './agenda.ts';
import type { ModelChain } from './model-chain.ts';

/** Sees everything and says what must never happen and did: forks, contradicted votes, what was final and is not. */
export class Observer {
  readonly counters = new Map<string, number>();
  readonly finalByHeight = new Map<number, BlockId>();
  /** Transactions that some honest node called final. */
  readonly acknowledged = new Set<number>();
  /** Honest nodes whose disk was set back to an older copy. */
  readonly setBack = new Set<NodeId>();
  /** The first thing that must never happen and did. */
  violation: string | undefined;
  readonly #agenda: Agenda;
  readonly #votes = new Map<string, string>();

  constructor(agenda: Agenda) {
    this.#agenda = agenda;
  }

  count(name: string, by = 1): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + by);
  }

  violate(what: string): void {
    this.violation ??= `${what} at ${this.#agenda.nowMs} ms`;
  }

  /** What a node says; an honest one's votes are held against all that it said before. */
  said(node: NodeId, message: ConsensusMessage, honest: boolean): void {
    if (message.kind === 'get-certificates') this.count('gap repairs');
    if (message.kind === 'echo') this.count('echoes');
    if (message.kind === 'vote' && honest) this.#sent(message.vote);
    if (message.kind !== 'proposal') return;
    const { epoch, position, signature, header } = message;
    if (header.view !== position.view) this.count('proposed again');
    if (honest)
      this.#sent({ type: 'notarize', epoch, view: position.view, position, signer: node, signature });
  }

  #sent(vote: Vote): void {
    const key = (type: string): string => `${vote.signer}.${vote.epoch}.${vote.view}.${type}`;
    const value = vote.position === undefined ? 'null' : positionKey(vote.position);
    const before = this.#votes.get(key(vote.type));
    this.#votes.set(key(vote.type), value);
    const contradiction =
      before !== undefined && before !== value
        ? `${vote.type} twice in view ${vote.view}`
        : this.#votes.has(key('nullify')) && this.#votes.has(key('finalize'))
          ? `nullify and finalize in view ${vote.view}`
          : undefined;
    if (contradiction === undefined) return;
    // A vote that reached nobody whom it asks, nobody can tell it of: it counts among the faulty.
    if (this.setBack.has(vote.signer)) this.count('contradictions after a restored backup');
    else this.violate(contradiction);
  }

  /** An honest node calls a block final; `before` are the transactions that were final there, and is added to. */
  final(chain: ModelChain, id: BlockId, before: Set<number>): void {
    const { block, transactions } = chain.get(id);
    this.finalAt(block.header.height, id);
    for (const transaction of transactions) {
      if (before.has(transaction)) this.violate('a transaction became final twice');
      before.add(transaction);
      this.acknowledged.add(transaction);
    }
  }

  /** An honest node calls a block final. */
  finalAt(height: number, id: BlockId): void {
    const known = this.finalByHeight.get(height);
    if (known !== undefined && known !== id) this.violate(`two final blocks at height ${height}`);
    this.finalByHeight.set(height, id);
    this.count('blocks committed');
  }
}
