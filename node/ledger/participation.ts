import { Consensus } from '../../ledger/consensus/consensus.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { BlockIntake, type BlockIntakeOptions } from './sync/block-intake.ts';
import type { VoteLog } from './votes/vote-log.ts';

/**
 * What a node has under way in consensus: its vote log, what it knows of the views, and the blocks that it fetches. It
 * goes on from the ledger and the log as they are; when a snapshot takes the place of the state, another one begins.
 */

export interface ParticipationOptions extends BlockIntakeOptions {
  readonly nodeId: NodeId;
  readonly nodeSecret: Uint8Array;
}

export class Participation {
  readonly log: VoteLog;
  readonly consensus: Consensus;
  readonly intake: BlockIntake;
  readonly #given = new AbortController();

  constructor(options: ParticipationOptions, log: VoteLog) {
    const { chain, nodeId, nodeSecret } = options;
    this.log = log;
    this.consensus = new Consensus({
      chainId: chain.rules.chainId,
      epoch: chain.epoch,
      seats: chain.seats,
      self: { nodeId, sign: (digest) => sign(digest, nodeSecret) },
      final: chain.final,
      records: log.records,
      abstainEpoch: chain.store.voting.abstainEpoch,
      nowMs: Date.now(),
      salt: Number.parseInt(nodeId.slice(-4), 16),
    });
    const signal = AbortSignal.any([options.signal, this.#given.signal]);
    this.intake = new BlockIntake({ ...options, signal }, log.blocks);
  }

  /** Gives up the blocks that are being fetched: what is executed from now on is executed elsewhere. */
  giveUp(): void {
    this.#given.abort();
  }
}
