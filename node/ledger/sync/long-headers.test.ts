import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { type Block, HEADER_BYTES } from '../../../ledger/block.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { KIND } from '../../network/kinds.ts';
import type { Handler } from '../../network/link.ts';
import type { Network } from '../../network/network.ts';
import { Chain } from '../chain/chain.ts';
import { serveBlocks } from './block-fetch.ts';
import { BlockIntake } from './block-intake.ts';

let network: SmallNetwork;
const chains: Chain[] = [];
before(async () => {
  network = await SmallNetwork.create(2, 1, 39_790);
});
after(async () => {
  for (const chain of chains) await chain.close();
  network.remove();
});

/** What becomes of the newest block of `ahead` at `behind`, and how many headers that takes. */
async function obtained(
  ahead: Chain,
  behind: Chain,
  beforeHeaders: (asked: number) => Promise<void> = async () => undefined,
): Promise<{ readonly verdict: BlockId | undefined; readonly asked: number; readonly headers: number }> {
  const handlers = new Map<number, Handler['handle']>();
  const peer = 'ahead' as NodeId;
  let asked = 0;
  let headers = 0;
  const link = {
    handle: (kind: number, _: number, handle: Handler['handle']) => void handlers.set(kind, handle),
    peers: () => [{ nodeId: peer }],
    shun: (_: NodeId, reason: string) => assert.fail(reason),
    request: async (_: NodeId, kind: number, body: Uint8Array) => {
      if (kind === KIND.getHeaders) await beforeHeaders(++asked);
      const answer = await handlers.get(kind)?.(peer, body, undefined as never);
      if (kind === KIND.getHeaders) headers += (answer?.length ?? 0) / HEADER_BYTES;
      return answer;
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
    void intake.obtain(ahead.final.id, [], true).then(() => resolve(undefined));
  });
  return { verdict, asked, headers };
}

async function pairOf(blocks: number): Promise<readonly [Chain, Chain]> {
  const made: Chain[] = [];
  for (const { folder } of network.members)
    made.push(await Chain.open(join(folder, String(blocks)), network.genesis));
  chains.push(...made);
  const [ahead, behind] = made as [Chain, Chain];
  const grower = new ChainGrower(network, ahead);
  await grower.claim();
  await grower.grow(blocks - 1, 1);
  return [ahead, behind];
}

async function follow(ahead: Chain, behind: Chain, height: number): Promise<void> {
  const ids = Array.from({ length: height }, (_, i) => ahead.store.idAt(i + 1) as BlockId);
  for (const id of ids) await behind.execute(ahead.stored(id) as Block);
  await behind.commit(ids, { epoch: 0, view: ids.length, certificate: undefined });
}

test('a block is obtained although the chain comes near it while its headers are fetched', async () => {
  const [ahead, behind] = await pairOf(16);
  const { verdict, asked } = await obtained(ahead, behind, async (count) => {
    // The first headers lead half of the way; before the next ones are here, others become final.
    if (count === 2) await follow(ahead, behind, 12);
  });
  assert.equal(asked, 2);
  assert.equal(verdict, ahead.final.id);
});

test('no more headers are fetched than lead to what is final here', async () => {
  const [ahead, behind] = await pairOf(60);
  await follow(ahead, behind, 40);
  const { verdict, headers } = await obtained(ahead, behind);
  assert.equal(verdict, ahead.final.id);
  assert.equal(headers, 20);
});
