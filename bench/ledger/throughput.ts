import { cpSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Block, blockIdOf, decodeBlockInSteps, encodeBlock } from '../../ledger/block.ts';
import type { Genesis } from '../../ledger/genesis.ts';
import { transactionId } from '../../ledger/transaction.ts';
import { inSteps } from '../../node/breather.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import { longestStretch } from '../measure.ts';
import { benchNode, prepareLedger, signerOf } from './prepared-ledger.ts';
import { signTransfer } from './transfers.ts';

/** Transfers a second on one node: from the bytes of blocks as peers send them to a state that is durable. */

export interface Throughput {
  readonly transfersPerSecond: number;
  /** CPU time a transfer, of all threads, in µs. */
  readonly cpuMicroseconds: number;
  /** Growth of the ledger's folder. */
  readonly bytesPerTransfer: number;
  /** The longest work between two turns of the event loop, CPU time. */
  readonly longestStretchMs: number;
}

export interface ThroughputPlan {
  readonly folder: string;
  readonly genesis: Genesis;
  /** Accounts with money; each transfer is between two of them drawn by chance. */
  readonly accounts: number;
  readonly blocks: number;
  readonly transfersPerBlock: number;
}

export async function measureThroughput(plan: ThroughputPlan): Promise<Throughput> {
  const { accounts, blocks: count, folder, genesis, transfersPerBlock } = plan;
  const signers = Array.from({ length: Math.min(accounts, count * transfersPerBlock) }, (_, i) =>
    signerOf(i),
  );
  const made = join(folder, `made-${accounts}`);
  await prepareLedger(made, genesis, signers, accounts);
  const fresh = join(folder, `fresh-${accounts}`);
  cpSync(made, fresh, { recursive: true });

  const maker = await Chain.open(made, genesis);
  const encoded: Uint8Array[] = [];
  // A sender may come again in a later block; positions in the tree are hashes, so in order is as good as by chance.
  for (let n = 0; n < count; n++) {
    const transfers = Array.from({ length: transfersPerBlock }, (_, i) => {
      const at = n * transfersPerBlock + i;
      const to = signers[(at * 7_919 + 13) % signers.length] as (typeof signers)[number];
      const from = signers[at % signers.length] as (typeof signers)[number];
      return signTransfer(maker.rules.chainId, from, Math.floor(at / signers.length), to.accountId);
    });
    const pooled = transfers.map(({ transaction, bytes }) => ({
      id: transactionId(transaction),
      transaction,
      bytes,
      addedMs: 0,
    }));
    const { id: parentId, view } = maker.final;
    const request = { parentId, epoch: 0, view: view + 1, proposer: benchNode(0).nodeId, nowMs: Date.now() };
    const block = (await maker.build(request, pooled, (_, error) => {
      throw error;
    })) as Block;
    await maker.commit([blockIdOf(block.header)], { epoch: 0, view: view + 1, certificate: undefined });
    encoded.push(encodeBlock(block));
  }
  await maker.close();

  const bytesBefore = folderBytes(fresh);
  const chain = await Chain.open(fresh, genesis);
  // After the first blocks the thread that verifies runs, and the code is compiled.
  const warm = Math.floor(count / 4);
  // To watch the event loop takes a tenth of the time: it is done over blocks of its own.
  const watched = Math.floor((3 * count) / 4);
  await follow(chain, encoded.slice(0, warm));
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await follow(chain, encoded.slice(warm, watched));
  const seconds = (performance.now() - startMs) / 1_000;
  const { user, system } = process.cpuUsage(cpuBefore);
  const transfers = (watched - warm) * transfersPerBlock;
  const { longestMs } = await longestStretch(() => follow(chain, encoded.slice(watched)));
  await chain.close();
  return {
    transfersPerSecond: transfers / seconds,
    cpuMicroseconds: (user + system) / transfers,
    bytesPerTransfer: (folderBytes(fresh) - bytesBefore) / (count * transfersPerBlock),
    longestStretchMs: longestMs,
  };
}

/** Takes blocks as a node that catches up does: the signatures of the next are verified while one is executed. */
async function follow(chain: Chain, encoded: readonly Uint8Array[]): Promise<void> {
  const take = async (bytes: Uint8Array | undefined): Promise<Block | undefined> => {
    if (bytes === undefined) return undefined;
    const block = await inSteps(decodeBlockInSteps(bytes));
    void chain.signatures.blockHolds(block);
    return block;
  };
  let block = await take(encoded[0]);
  for (let n = 0; block !== undefined; n++) {
    const next = await take(encoded[n + 1]);
    const id = await chain.execute(block);
    await chain.commit([id], { epoch: 0, view: block.header.view, certificate: undefined });
    block = next;
  }
}

/** Bytes of all files below a folder. */
export function folderBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
