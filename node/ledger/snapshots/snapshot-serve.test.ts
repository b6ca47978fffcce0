import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { NodeId } from '../../../ledger/ids.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { KIND } from '../../network/kinds.ts';
import type { Handler } from '../../network/link.ts';
import type { Network } from '../../network/network.ts';
import { Chain } from '../chain/chain.ts';
import { decodeStates, encodeStatesRequest } from './snapshot-messages.ts';
import { SnapshotServer } from './snapshot-serve.ts';

let network: SmallNetwork | undefined;
let chain: Chain | undefined;
after(async () => {
  await chain?.close();
  network?.remove();
});

test('a state that nobody could go on from, since bodies behind it are gone, is not the newest one offered', async () => {
  network = await SmallNetwork.create(1, 1, 39_791);
  chain = await Chain.open(network.members[0]?.folder as string, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  const handlers = new Map<number, Handler['handle']>();
  const link = { handle: (kind: number, _: number, handle: Handler['handle']) => handlers.set(kind, handle) };
  new SnapshotServer(link as unknown as Network, chain);
  const newestOffered = async (): Promise<number> => {
    const peer = 'peer' as NodeId;
    const answer = await handlers.get(KIND.getStates)?.(peer, encodeStatesRequest(0), undefined as never);
    return Math.max(...decodeStates(answer as Uint8Array).states.map(({ header }) => header.height));
  };
  await grower.grow(3, 1);
  assert.equal(await newestOffered(), 4);
  await grower.grow(4, 1);
  assert.equal(await newestOffered(), 4, 'one state is enough for a while');
  await chain.store.cutBodies(1, 6);
  assert.equal(await newestOffered(), 8);
});
