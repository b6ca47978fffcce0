import { pino } from 'pino';
import { grains } from '../../ledger/grains.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import { LedgerNode } from '../../node/ledger/ledger-node.ts';
import { Network } from '../../node/network/network.ts';
import { Wallet } from '../../node/wallet/wallet.ts';
import { benchGenesis, benchNode } from './prepared-ledger.ts';

/** A node with nothing but the ledger, in a process of its own; does what its parent tells it. */

export interface MemberPlan {
  readonly folder: string;
  /** Its number; the first `seats` numbers are the committee. */
  readonly index: number;
  readonly seats: number;
  /** Where each is reached. */
  readonly ports: readonly number[];
  /** Where this one listens, when something lies between. */
  readonly listenPort?: number;
}

export type MemberRequest =
  /** Sends transfers, `atOnce` at a time, and waits until they are final; answers with how long each took, in ms. */
  | { readonly kind: 'send'; readonly times: number; readonly atOnce: number }
  /** Answers with the blocks a second that became final here, from the first commit until the block at `height`. */
  | { readonly kind: 'follow'; readonly height: number }
  | { readonly kind: 'height' };

export type MemberAnswer = { readonly latenciesMs: readonly number[] } | { readonly value: number };

const { folder, index, seats, ports, listenPort } = JSON.parse(process.argv[2] as string) as MemberPlan;
const { accountId, nodeId, nodeSecret, secret } = benchNode(index);
const logger = pino({ level: process.env.BENCH_LOG ?? 'silent' }, pino.destination(2));
const chain = await Chain.open(folder, benchGenesis(seats));
const network = await Network.open({
  chainId: chain.rules.chainId,
  nodeSecret,
  host: '127.0.0.1',
  port: listenPort ?? (ports[index] as number),
  advertise: [`127.0.0.1:${ports[index]}`],
  seeds: ports.map((port) => `127.0.0.1:${port}`),
  records: { load: () => [], save: () => undefined },
  logger,
});
const ledger = await LedgerNode.open({
  chain,
  network,
  folder,
  nodeId,
  nodeSecret,
  logger,
  snapshotBehind: 0,
});
const wallet = new Wallet(ledger, accountId, secret);

async function send(times: number, atOnce: number): Promise<readonly number[]> {
  const latenciesMs: number[] = [];
  const to = benchNode(seats + 1).accountId;
  for (let n = 0; n < times; n++) {
    const sent = Array.from({ length: atOnce }, async () => {
      const startMs = performance.now();
      await wallet.submit({ kind: 'transfer', to, amountGrains: grains(1), memo: '' });
      latenciesMs.push(performance.now() - startMs);
    });
    await Promise.all(sent);
  }
  return latenciesMs;
}

async function follow(height: number): Promise<number> {
  const commits: { height: number; ms: number }[] = [];
  await new Promise<void>((resolve) => {
    ledger.onFinal(() => {
      commits.push({ height: chain.final.height, ms: performance.now() });
      if (chain.final.height >= height) resolve();
    });
  });
  const [first, last] = [commits[0], commits.at(-1)];
  if (first === undefined || last === undefined) return Number.NaN;
  return (1_000 * (last.height - first.height)) / (last.ms - first.ms);
}

async function answer(request: MemberRequest): Promise<MemberAnswer> {
  switch (request.kind) {
    case 'send':
      return { latenciesMs: await send(request.times, request.atOnce) };
    case 'follow':
      return { value: await follow(request.height) };
    case 'height':
      return { value: chain.final.height };
  }
}

process.on('message', (request: MemberRequest) => {
  void answer(request).then((value) => process.send?.(value));
});
process.on('disconnect', () => process.exit(1));
process.on('SIGTERM', async () => {
  wallet.close();
  await ledger.close();
  await network.close();
  await chain.close();
  process.exit(0);
});
process.send?.('ready');
