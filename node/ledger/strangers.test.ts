import { after, test } from 'node:test';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { memoryTransport } from '../../test/support/memory-transport.ts';
import { type Running, SmallNetwork, startMember } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';
import { Network } from '../network/network.ts';

let network: SmallNetwork | undefined;
const running: Running[] = [];
const strangers: Network[] = [];
after(async () => {
  await Promise.all(strangers.map((stranger) => stranger.close()));
  await Promise.all(running.map((node) => node.stop()));
  network?.remove();
});

test('strangers do not take the places of members of the committee', async () => {
  network = await SmallNetwork.create(2, 2, 39_790);
  const [first, second] = network.members as [Running['member'], Running['member']];
  const node = await startMember(first, network.genesis, []);
  running.push(node);
  for (let n = 0; n < 64; n++)
    strangers.push(
      await Network.open({
        chainId: node.chain.rules.chainId,
        nodeSecret: sha256(utf8(`stranger ${n}`)),
        host: '127.0.0.1',
        port: 0,
        advertise: [],
        seeds: [node.network.address],
        records: { load: () => [], save: () => undefined },
        logger: pino({ level: 'silent' }),
        transport: memoryTransport,
      }),
    );
  await until(
    () => node.network.peers().length === 48,
    20_000,
    'strangers to take the places that are for them',
  );
  const late = await startMember(second, network.genesis, [node.network.address]);
  running.push(late);
  await until(() => node.network.connected(second.person.nodeId), 15_000, 'the member to find a place');
});
