import type { Block, BlockHeader } from '../block.ts';
import type { Seat } from '../genesis.ts';
import type { BlockId, ChainId, NodeId, TransactionId } from '../ids.ts';
import type { Verifier } from './committee.ts';
import type { ConsensusMessage, LogRecord } from './messages.ts';
import type { Certificate, Position, Vote } from './votes.ts';

/** What consensus hears and what it wants done: its whole interface to the world. */

/** The newest final block. */
export interface FinalPoint {
  /** The epoch whose committee made it final. */
  readonly epoch: number;
  readonly view: number;
  readonly height: number;
  readonly id: BlockId;
  readonly timestampMs: number;
  readonly certificate: Certificate | undefined;
}

/** This node's key; absent for a node that only follows. */
export type Self = { readonly nodeId: NodeId; sign(digest: Uint8Array): Uint8Array } | undefined;

export interface ConsensusOptions {
  readonly chainId: ChainId;
  /** The epoch of the next block: one more than the final block's, when that is a boundary. */
  readonly epoch: number;
  readonly seats: readonly Seat[];
  readonly self: Self;
  readonly final: FinalPoint;
  /** What the write-ahead log held. */
  readonly records: readonly LogRecord[];
  /** The epoch in which this node may not vote, because it cannot know what it signed before. */
  readonly abstainEpoch?: number | undefined;
  readonly nowMs: number;
  /** A number of this node's, to spread repairs over peers. */
  readonly salt: number;
  readonly verifier?: Verifier;
}

/** What execution says of a block. `nextSeats`: the committee after it, when it is the last of its epoch. */
export interface ExecutedBlock {
  readonly header: BlockHeader;
  readonly nextSeats: readonly Seat[] | undefined;
}

export type ConsensusEvent =
  | { readonly kind: 'message'; readonly from: NodeId; readonly message: ConsensusMessage }
  | { readonly kind: 'tick' }
  /** Whether something can be included on the newest tip: a transaction, or a period turn. */
  | { readonly kind: 'work'; readonly work: boolean }
  /** The answer to `build`; no block when there is nothing to include. */
  | {
      readonly kind: 'built';
      readonly view: number;
      readonly built:
        | {
            readonly block: Block;
            readonly transactionIds: readonly TransactionId[];
            readonly nextSeats: readonly Seat[] | undefined;
          }
        | undefined;
    }
  /** The answer to `execute`: what it is, once it and all its ancestors are executed and kept; nothing when it is invalid. */
  | { readonly kind: 'verdict'; readonly blockId: BlockId; readonly executed: ExecutedBlock | undefined }
  /** All records appended up to this sequence are on disk. */
  | { readonly kind: 'synced'; readonly sequence: number }
  | { readonly kind: 'peer'; readonly nodeId: NodeId }
  /** Another may sign with this node's key: no vote before a quorum has answered anew, in `restMs` at the earliest. */
  | { readonly kind: 'doubt'; readonly restMs: number };

export type Effect =
  | { readonly kind: 'append'; readonly record: LogRecord }
  /** Sync the log and the blocks in it, then answer `synced`. */
  | { readonly kind: 'sync'; readonly sequence: number }
  | { readonly kind: 'send'; readonly to: 'members' | 'all' | NodeId; readonly message: ConsensusMessage }
  /** Send the Finalization of the last block of an epoch to a node that is still in it. */
  | { readonly kind: 'send-boundary'; readonly to: NodeId; readonly epoch: number }
  | { readonly kind: 'build'; readonly view: number; readonly parentId: BlockId }
  /** Get and execute a block with its ancestors, then answer `verdict`. `final`: a Finalization vouches for it. */
  | {
      readonly kind: 'execute';
      readonly blockId: BlockId;
      readonly from: readonly NodeId[];
      readonly final: boolean;
    }
  /** This block and its ancestors are final: store state and certificate in one durable batch. */
  | { readonly kind: 'commit'; readonly certificate: Certificate; readonly position: Position }
  /** Another committee votes from here on. */
  | { readonly kind: 'epoch'; readonly epoch: number; readonly seats: readonly Seat[] }
  /** A member contradicted itself: these two votes prove it. */
  | { readonly kind: 'evidence'; readonly first: Vote; readonly second: Vote }
  /** This executed block may be let go of: its view was given up. Wanted again, it is asked for again. */
  | { readonly kind: 'release'; readonly blockId: BlockId }
  /** This peer sent what no honest node sends. */
  | { readonly kind: 'blame'; readonly peer: NodeId; readonly reason: string }
  /** Remember durably that this node does not vote in this epoch. */
  | { readonly kind: 'abstain'; readonly epoch: number; readonly reason: string }
  | { readonly kind: 'halt'; readonly reason: string };
