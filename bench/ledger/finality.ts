import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { DelayedLink } from './delayed-link.ts';
import { freePorts, MemberProcess } from './members.ts';
import { benchGenesis, benchNode, prepareLedger } from './prepared-ledger.ts';

/** Time from the moment a wallet sends a transfer until it is final and durable there, among real processes on loopback. */

export async function measureFinality(plan: {
  readonly folder: string;
  readonly seats: number;
  readonly transfers: number;
}): Promise<readonly number[]> {
  const { folder, seats, transfers } = plan;
  const members = await startMembers(folder, seats, seats);
  try {
    // Code that runs for the first time, and links that are still being made, say nothing of finality.
    await Promise.all(members.map((member) => member.send(Math.ceil(transfers / 10), 1)));
    const latenciesMs: number[] = [];
    for (const member of members) latenciesMs.push(...(await member.send(Math.ceil(transfers / seats), 1)));
    return latenciesMs;
  } finally {
    await Promise.all(members.map((member) => member.stop()));
  }
}

/**
 * Blocks a second at which a node that was away comes to the end of a chain of more than 64 blocks: they come in stretches.
 * `delayMs`: what bytes need from one node to the other.
 */
export async function measureCatchUp(plan: {
  readonly folder: string;
  readonly blocks: number;
  readonly transfersPerBlock: number;
  readonly delayMs: number;
}): Promise<number> {
  const { blocks, delayMs, folder, transfersPerBlock } = plan;
  const listening = await freePorts(2);
  const links = await Promise.all(listening.map((port) => DelayedLink.open(port, delayMs)));
  const ports = delayMs === 0 ? listening : links.map((link) => link.port);
  const start = (index: number): Promise<MemberProcess> =>
    MemberProcess.start({
      folder: join(folder, String(index)),
      index,
      seats: 1,
      ports,
      listenPort: listening[index] as number,
    });
  await prepareLedger(join(folder, '0'), benchGenesis(1), [benchNode(0)], 1);
  cpSync(join(folder, '0'), join(folder, '1'), { recursive: true });
  const member = await start(0);
  let follower: MemberProcess | undefined;
  try {
    await member.send(blocks, transfersPerBlock);
    const height = await member.height();
    follower = await start(1);
    return await follower.follow(height);
  } finally {
    await follower?.stop();
    await member.stop();
    await Promise.all(links.map((link) => link.close()));
  }
}

async function startMembers(folder: string, count: number, seats: number): Promise<readonly MemberProcess[]> {
  const ports = await freePorts(count);
  const genesis = benchGenesis(seats);
  const numbers = Array.from({ length: count }, (_, index) => index);
  const made = join(folder, 'made');
  await prepareLedger(made, genesis, numbers.map(benchNode), count);
  return Promise.all(
    numbers.map((index) => {
      const own = join(folder, String(index));
      cpSync(made, own, { recursive: true });
      return MemberProcess.start({ folder: own, index, seats, ports });
    }),
  );
}
