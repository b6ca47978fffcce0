import { utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusOptions } from '../../ledger/consensus/events.ts';
import type { Certificate } from '../../ledger/consensus/votes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { Seat } from '../../ledger/genesis.ts';
import {
  type AccountId,
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  type NodeId,
} from '../../ledger/ids.ts';
import { MOCK_KEYS } from './keys.ts';

/** Seats of the model, and a committee of four for tests of single rules. */

export const MODEL_CHAIN = 'cc'.repeat(32) as ChainId;
const NOWHERE = '00'.repeat(32) as BlockId;

export function seatsOf(ids: readonly NodeId[]): readonly Seat[] {
  return ids.map((nodeId, i) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
    nodeId,
    accountId: nodeId as string as AccountId,
  }));
}

export const FOUR = [0, 1, 2, 3].map(MOCK_KEYS.nodeId) as [NodeId, NodeId, NodeId, NodeId];
export const FOUR_SEATS = seatsOf(FOUR);
export const FOUR_COMMITTEE = new Committee(MODEL_CHAIN, 0, FOUR_SEATS);

/** By the first three of the four. */
export function nullification(view: number): Certificate {
  const votes = new Map<number, Uint8Array>();
  for (const nodeId of FOUR.slice(0, 3))
    votes.set(
      FOUR_COMMITTEE.indexOf(nodeId) as number,
      MOCK_KEYS.sign(nodeId, FOUR_COMMITTEE.digest('nullify', view, undefined)),
    );
  return FOUR_COMMITTEE.certificate('nullify', view, undefined, votes);
}

/** One of the four that starts at time 0, with the nullifications of some views in its log. */
export function oneOfFour(
  nodeId: NodeId,
  nullifiedViews: readonly number[],
  options: Partial<ConsensusOptions> & { readonly genesisId?: BlockId } = {},
  ConsensusClass: typeof Consensus = Consensus,
): Consensus {
  const { genesisId = NOWHERE, ...others } = options;
  return new ConsensusClass({
    chainId: MODEL_CHAIN,
    epoch: 0,
    seats: FOUR_SEATS,
    self: { nodeId, sign: (digest) => MOCK_KEYS.sign(nodeId, digest) },
    final: { epoch: 0, view: 0, height: 0, id: genesisId, timestampMs: 0, certificate: undefined },
    records: nullifiedViews.map((view) => ({ kind: 'certificate', certificate: nullification(view) })),
    nowMs: 0,
    salt: FOUR.indexOf(nodeId),
    verifier: MOCK_KEYS.verifier,
    ...others,
  });
}
