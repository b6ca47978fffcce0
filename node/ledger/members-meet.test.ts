import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Running, SmallNetwork, startMember } from '../../test/support/small-network.ts';

let network: SmallNetwork | undefined;
const running: Running[] = [];
after(async () => {
  await Promise.all(running.map((node) => node.stop()));
  network?.remove();
});

test('members that all know only one seed, which is no member, find each other and make blocks final', async () => {
  network = await SmallNetwork.create(5, 4, 39_710);
  for (const member of network.members)
    running.push(await startMember(member, network.genesis, [`127.0.0.1:${network.members[4]?.port}`]));
  const [first] = running as [Running];
  const settled = await Promise.race([
    first.wallet.submit(await network.claim(0)).then(() => 'final'),
    new Promise<string>((done) => setTimeout(() => done('nothing'), 15_000)),
  ]);
  assert.equal(settled, 'final');
});
