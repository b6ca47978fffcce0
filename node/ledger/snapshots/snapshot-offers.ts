import { blockIdOf } from '../../../ledger/block.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import { type Boundary, checkFinal, followBoundaries } from '../../../ledger/consensus/trust-chain.ts';
import { demand, LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { Breather } from '../../breather.ts';
import { KIND } from '../../network/kinds.ts';
import type { Network } from '../../network/network.ts';
import { NetworkError } from '../../network/network-error.ts';
import type { Chain } from '../chain/chain.ts';
import type { CertifiedHeader } from '../store/finality.ts';
import { decodeStates, encodeStatesRequest, type States } from './snapshot-messages.ts';

/** Which states peers have at hand, each proven committee by committee from the one that this node trusts. */

/** Peers that are asked for their states. */
const ASKED_MAX = 16;
const STATES_DEADLINE_MS = 5_000;
/** Answers with boundaries that one peer is asked for: 64 epochs each. */
const BOUNDARY_ROUNDS_MAX = 256;

/** A state that some peers have at hand, and what leads from the committee of this epoch to that of the state. */
export interface Offer {
  readonly newest: CertifiedHeader;
  readonly boundaries: readonly Boundary[];
  readonly peers: NodeId[];
}

export interface Asking {
  readonly chain: Chain;
  readonly network: Network;
}

/** What peers have, checked; whoever proves it wrongly is shunned. */
export async function offersOf(options: Asking): Promise<readonly Offer[]> {
  const { network } = options;
  const offers = new Map<BlockId, Offer>();
  const peers = network.peers().slice(0, ASKED_MAX);
  await Promise.all(
    peers.map(async ({ nodeId }) => {
      try {
        for (const { newest, boundaries } of await askForStates(options, nodeId)) {
          const id = blockIdOf(newest.header);
          const known = offers.get(id);
          if (known === undefined) offers.set(id, { newest, boundaries, peers: [nodeId] });
          else known.peers.push(nodeId);
        }
      } catch (error) {
        if (error instanceof LedgerError) network.shun(nodeId, `its states do not hold: ${error.message}`);
        else if (!(error instanceof NetworkError)) throw error;
      }
    }),
  );
  return [...offers.values()];
}

async function askForStates(
  { chain, network }: Asking,
  peer: NodeId,
): Promise<readonly Omit<Offer, 'peers'>[]> {
  const { chainId } = chain.rules;
  // Where it is asked from: the chain goes on while the peer answers.
  const { epoch } = chain;
  const committees = [new Committee(chainId, epoch, chain.seats)];
  const boundaries: Boundary[] = [];
  // Some 50 signatures each, and dozens of them in an answer.
  const breather = new Breather();
  let answer: States;
  for (let round = 0; ; round++) {
    const last = committees.at(-1) as Committee;
    const request = encodeStatesRequest(last.epoch);
    answer = decodeStates(
      await network.request(peer, KIND.getStates, request, { deadlineMs: STATES_DEADLINE_MS }),
    );
    for (const boundary of answer.boundaries) {
      if (breather.due) await breather.breathe();
      committees.push(followBoundaries(chainId, committees.at(-1) as Committee, [boundary]));
      boundaries.push(boundary);
    }
    const known = (committees.at(-1) as Committee).epoch;
    if (answer.states.every(({ certificate }) => certificate.epoch <= known)) break;
    demand(
      answer.boundaries.length > 0 && round < BOUNDARY_ROUNDS_MAX,
      'bad-certificate',
      'a state without the way to its committee',
    );
  }
  return answer.states
    .filter(({ header }) => header.height > chain.final.height)
    .map((newest) => {
      const at = newest.certificate.epoch - epoch;
      const committee = committees[at];
      demand(committee !== undefined, 'bad-certificate', 'a state of an epoch that is over here');
      checkFinal(committee, newest.header, newest.certificate);
      return { newest, boundaries: boundaries.slice(0, at) };
    });
}

/**
 * What is fetched of them: the state that was begun with, while somebody has it and it is not that far behind the newest
 * that another would have to follow at once; else what most peers have, of that the newest.
 */
export function bestOf(
  offers: readonly Offer[],
  begun: BlockId | undefined,
  behindMin: number,
): Offer | undefined {
  const newest = Math.max(...offers.map((offer) => offer.newest.header.height));
  const goesOn = offers.find(
    ({ newest: { header } }) => blockIdOf(header) === begun && newest - header.height < behindMin,
  );
  return (
    goesOn ??
    [...offers].sort(
      (a, b) => b.peers.length - a.peers.length || b.newest.header.height - a.newest.header.height,
    )[0]
  );
}
