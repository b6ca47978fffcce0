import assert from 'node:assert/strict';
import { cpSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { grains } from '../../../ledger/grains.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { exportLedger, writeSnapshot } from '../maintenance/export-ledger.ts';
import { importLedger } from '../maintenance/import-ledger.ts';
import { type LogFrame, WriteAheadLog } from './write-ahead-log.ts';

/** One node is the whole committee, and its ledger is lost, set back or cut off while its vote log is kept. */

const MIB = 1_048_576;
let network: SmallNetwork;
let folder: string;
let ledger: string;
let logFile: string;
let sole: Running;
let newest: { readonly id: BlockId; readonly height: number };

before(async () => {
  network = await SmallNetwork.create(2, 1, 39_900);
  folder = network.members[0]?.folder as string;
  ledger = join(folder, 'ledger');
  logFile = join(folder, 'consensus.log');
  sole = await network.start(0);
  await sole.wallet.submit(await network.claim(0));
  for (let n = 0; n < 3; n++) await transfer();
  await sole.stop();
  cpSync(ledger, join(network.folder, 'old-ledger'), { recursive: true });
  cpSync(logFile, join(network.folder, 'old-log'));
  sole = await network.start(0);
  for (let n = 0; n < 3; n++) await transfer();
  newest = sole.chain.final;
  await exportLedger(sole.chain, join(network.folder, 'ledger.export'));
  await writeSnapshot(sole.chain, join(network.folder, 'ledger.snapshot'));
  await sole.stop();
  cpSync(folder, join(network.folder, 'whole'), { recursive: true });
});
after(() => network.remove());

async function transfer(): Promise<void> {
  const { accountId } = sole.member.person;
  await sole.wallet.submit({ kind: 'transfer', to: accountId, amountGrains: grains(1), memo: '' });
}

/** The folder as it was when the node stopped in good order. */
function putBack(): void {
  rmSync(folder, { recursive: true });
  cpSync(join(network.folder, 'whole'), folder, { recursive: true });
}

/** Rewrites the log as it rewrites itself when it is large: what was final long before is not in it any more. */
async function shortenLog(keep: (frames: readonly LogFrame[]) => readonly LogFrame[]): Promise<void> {
  const { log, frames } = await WriteAheadLog.open(logFile);
  await log.rewrite(keep(frames).map(({ payload }) => payload));
  await log.close();
}

async function isRefused(): Promise<void> {
  const before = readFileSync(logFile);
  // However often it is tried.
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(
      network.start(0),
      (error) =>
        error instanceof NodeError &&
        error.code === 'data-damaged' &&
        /second history.*ledger import FILE.*move all of/s.test(error.message) &&
        error.message.includes(`block ${newest.height} final`),
    );
  assert.deepEqual(readFileSync(logFile), before, 'the log is what proves it');
}

async function goesOn(): Promise<void> {
  sole = await network.start(0);
  await until(() => sole.chain.final.height >= newest.height, 5_000, 'what the log holds to be executed');
  await transfer();
  assert.equal(sole.chain.store.idAt(newest.height), newest.id);
  assert.equal(sole.chain.final.height, newest.height + 1);
  await sole.stop();
}

test('a ledger that is lost or set back is refused where the log no longer holds the way there', async () => {
  putBack();
  await shortenLog((frames) => frames.slice(-6));
  rmSync(ledger, { recursive: true });
  await isRefused();
  putBack();
  await shortenLog((frames) => frames.slice(-6));
  rmSync(ledger, { recursive: true });
  cpSync(join(network.folder, 'old-ledger'), ledger, { recursive: true });
  await isRefused();
});

test('an export or a snapshot that reaches far enough brings the node back', async () => {
  for (const file of ['ledger.export', 'ledger.snapshot']) {
    putBack();
    await shortenLog((frames) => frames.slice(-6));
    rmSync(ledger, { recursive: true });
    await isRefused();
    const chain = await Chain.open(folder, network.genesis);
    await importLedger(chain, join(network.folder, file));
    await chain.close();
    await goesOn();
  }
});

test('a log that has just rewritten itself still tells what was final', async () => {
  putBack();
  const { log, frames } = await WriteAheadLog.open(logFile);
  // Any records will do to make it large.
  const record = frames.find(({ payload }) => payload[0] === 1)?.payload as Uint8Array;
  while (log.bytes < 16 * MIB) log.append(record);
  await log.sync();
  await log.close();
  sole = await network.start(0);
  await transfer();
  const { height } = sole.chain.final;
  await sole.stop();
  assert(statSync(logFile).size < MIB, 'the log was rewritten');
  rmSync(ledger, { recursive: true });
  await assert.rejects(network.start(0), new RegExp(`has made block ${height} final`));
});

test('what the log holds is executed again: a lost ledger, an old one, a crash between log and commit', async () => {
  putBack();
  rmSync(ledger, { recursive: true });
  await goesOn();
  putBack();
  rmSync(ledger, { recursive: true });
  cpSync(join(network.folder, 'old-ledger'), ledger, { recursive: true });
  await goesOn();
});

test('a new node, a restart, an old copy of the whole folder and one that only follows are not refused', async () => {
  putBack();
  await goesOn();
  rmSync(ledger, { recursive: true });
  cpSync(join(network.folder, 'old-ledger'), ledger, { recursive: true });
  cpSync(join(network.folder, 'old-log'), logFile);
  sole = await network.start(0);
  await transfer();
  await sole.stop();
  putBack();
  sole = await network.start(0);
  let follower = await network.start(1);
  await follower.stop();
  rmSync(join(follower.member.folder, 'ledger'), { recursive: true });
  follower = await network.start(1);
  await follower.stop();
  await sole.stop();
  renameSync(logFile, join(network.folder, 'log-aside'));
  await goesOn();
});
