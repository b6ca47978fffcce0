import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockHeader, blockIdOf, committeeHash } from '../../../ledger/block.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import { sign } from '../../../ledger/crypto/secp256k1.ts';
import { type BlockId, type ChainId, type Hash, type NodeId, ZERO_HASH } from '../../../ledger/ids.ts';
import { type Person, person, seatOf } from '../../../test/support/ledger-world.ts';
import type { Network } from '../../network/network.ts';
import type { Chain } from '../chain/chain.ts';
import type { CertifiedHeader } from '../store/finality.ts';
import { encodeStates } from './snapshot-messages.ts';
import { offersOf } from './snapshot-offers.ts';

const chainId = 'ab'.repeat(32) as ChainId;
const [first, second] = [person('first'), person('second')];

/** A final block of a committee of one. */
function certified(of: Person, epoch: number, height: number, nextCommitteeHash: Hash): CertifiedHeader {
  const header: BlockHeader = {
    chainId,
    epoch,
    view: 1,
    height,
    parentId: '00'.repeat(32) as BlockId,
    timestampMs: height,
    proposer: of.nodeId,
    txRoot: ZERO_HASH,
    stateRoot: ZERO_HASH,
    nextCommitteeHash,
  };
  const committee = new Committee(chainId, epoch, [seatOf(of)]);
  const position = { view: 1, parentView: 0, height, blockId: blockIdOf(header) };
  const vote = sign(committee.digest('finalize', 1, position), of.nodeSecret);
  return { header, certificate: committee.certificate('finalize', 1, position, new Map([[0, vote]])) };
}

test('an offer of a peer holds although another epoch begins here before its answer comes', async () => {
  const nextSeats = [seatOf(second)];
  const boundary = { ...certified(first, 0, 1, committeeHash(nextSeats)), nextSeats };
  const newest = certified(second, 1, 2, ZERO_HASH);
  const chain = { rules: { chainId }, epoch: 0, seats: [seatOf(first)], final: { height: 0 } };
  const network = {
    peers: () => [{ nodeId: 'peer' as NodeId }],
    shun: (_: NodeId, reason: string) => assert.fail(reason),
    request: async () => {
      Object.assign(chain, { epoch: 1, seats: nextSeats, final: { height: 1 } });
      return encodeStates({ boundaries: [boundary], states: [newest] });
    },
  };
  const offers = await offersOf({
    chain: chain as unknown as Chain,
    network: network as unknown as Network,
  });
  assert.deepEqual(
    offers.map((offer) => [offer.newest.header.height, offer.boundaries.length]),
    [[2, 1]],
  );
});
