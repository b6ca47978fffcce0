import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { pino } from 'pino';
import type { Block } from '../../../ledger/block.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { KIND } from '../../network/kinds.ts';
import type { Handler } from '../../network/link.ts';
import type { Network } from '../../network/network.ts';
import { Chain } from '../chain/chain.ts';
import { serveBlocks } from './block-fetch.ts';
import { BlockIntake } from './block-intake.ts';

let network: SmallNetwork | undefined;
const chains: Chain[] = [];
after(async () => {
  for (const chain of chains) await chain.close();
  network?.remove();
});

test('a block is obtained although the chain comes near it while its headers are fetched', async () => {
  network = await SmallNetwork.create(2, 1, 39_790);
  for (const { folder } of network.members) chains.push(await Chain.open(folder, network.genesis));
  const [ahead, behind] = chains as [Chain, Chain];
  const grower = new ChainGrower(network, ahead);
  await grower.claim();
  await grower.grow(15, 1);
  const wanted = ahead.final.id;
  const ids = Array.from({ length: 12 }, (_, i) => ahead.store.idAt(i + 1) as BlockId);

  const handlers = new Map<number, Handler['handle']>();
  const peer = 'ahead' as NodeId;
  let asked = 0;
  const link = {
    handle: (kind: number, _: number, handle: Handler['handle']) => void handlers.set(kind, handle),
    peers: () => [{ nodeId: peer }],
    shun: (_: NodeId, reason: string) => assert.fail(reason),
    request: async (_: NodeId, kind: number, body: Uint8Array) => {
      // The first headers lead half of the way; before the next ones are here, others become final.
      if (kind === KIND.getHeaders && ++asked === 2) {
        for (const id of ids) await behind.execute(ahead.stored(id) as Block);
        await behind.commit(ids, { epoch: 0, view: ids.length, certificate: undefined });
      }
      return handlers.get(kind)?.(peer, body, undefined as never);
    },
  } as unknown as Network;
  serveBlocks(link, ahead, () => undefined);
  const verdict = await new Promise<BlockId | undefined>((resolve, reject) => {
    const intake = new BlockIntake(
      {
        chain: behind,
        network: link,
        logger: pino({ level: 'silent' }),
        signal: new AbortController().signal,
        inTurn: (run) => run(),
        executed: () => undefined,
        commit: async () => undefined,
        starved: () => undefined,
        verdict: (id, executed) => resolve(executed && id),
        failed: reject,
      },
      [],
    );
    void intake.obtain(wanted, [], true).then(() => resolve(undefined));
  });
  assert.equal(asked, 2);
  assert.equal(verdict, wanted);
});
