import type { Committee } from '../../ledger/consensus/committee.ts';
import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent } from '../../ledger/consensus/events.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import type { BlockId, NodeId } from '../../ledger/ids.ts';
import type { Agenda } from './agenda.ts';
import type { Keys } from './keys.ts';
import type { Links } from './links.ts';
import type { ModelChain } from './model-chain.ts';
import type { Observer } from './observer.ts';
import type { Dice, Shape } from './shape.ts';

/** What a simulated node sees of another. */
export interface SimulatedPeer {
  readonly id: NodeId;
  readonly up: boolean;
  /** Whether it answers those who ask for blocks. */
  readonly serves: boolean;
  /** Blocks that it could give. */
  readonly blocks: ReadonlySet<BlockId>;
  give(event: ConsensusEvent): void;
  submit(transaction: number): void;
}

/** Switches that the mutants turn: each breaks one rule of the harness that real nodes keep. */
export interface Mutation {
  readonly sendBeforeSync?: boolean;
  readonly forgetVotesAtRestart?: boolean;
  readonly ignoreAbstention?: boolean;
  readonly noBoundaryReply?: boolean;
}

/** What a node lives in. */
export interface NodeSurroundings {
  readonly chain: ModelChain;
  readonly keys: Keys;
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly shape: Shape;
  readonly observer: Observer;
  readonly links: Links<ConsensusMessage>;
  readonly ids: readonly NodeId[];
  readonly byzantine: ReadonlySet<NodeId>;
  readonly nodes: ReadonlyMap<NodeId, SimulatedPeer>;
  /** The node that `from` reaches under an id: there may be two. */
  reach(from: NodeId, id: NodeId): SimulatedPeer | undefined;
  /** The certificates that ended epochs, by epoch, as messages. */
  readonly boundaries: Map<number, ConsensusMessage>;
  /** By epoch. */
  readonly committees: Map<number, Committee>;
  readonly mutation: Mutation;
  readonly consensus: typeof Consensus;
}
