import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { genesisToJson } from '../../ledger/genesis.ts';
import { ChainGrower } from '../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../test/support/small-network.ts';
import { Chain } from '../ledger/chain/chain.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
let network: SmallNetwork;
let data: string;

function dataFolder(name: string): string {
  const folder = join(network.folder, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'network.json'), JSON.stringify(genesisToJson(network.genesis)));
  return folder;
}

/** What the command line prints and its exit code. */
function blocktree(folder: string, ...args: string[]): Promise<{ out: string; err: string; code: number }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', MAIN, '--data', folder, ...args], (error, out, err) =>
      resolve({ out, err, code: error === null ? 0 : Number(error.code) }),
    );
  });
}

before(async () => {
  network = await SmallNetwork.create(1, 1, 0);
  data = dataFolder('node');
  const chain = await Chain.open(data, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(12);
  await chain.close();
});
after(() => network.remove());

test('verify, export and import: what is said, and how it ends', async () => {
  const whole = await blocktree(data, 'ledger', 'verify', '--replay', '--json');
  assert.equal(whole.code, 0, whole.err);
  const report = JSON.parse(whole.out);
  assert.equal(report.height, 13);
  assert.equal(report.replayed, 13);
  assert.deepEqual(report.findings, []);

  const file = join(network.folder, 'file');
  assert.equal((await blocktree(data, 'ledger', 'export', file)).code, 0);
  const twice = await blocktree(data, 'ledger', 'export', file);
  assert.equal(twice.code, 1);
  assert.match(twice.err, /exists already/);

  const nowhere = await blocktree(data, 'ledger', 'export', join(network.folder, 'no', 'file'));
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.err, /its folder is not there/);

  const other = dataFolder('other');
  const taken = await blocktree(other, 'ledger', 'import', file);
  assert.match(taken.out, /from block 0 to block 13/);
  assert.match((await blocktree(other, 'ledger', 'import', file)).out, /Nothing to do/);
  assert.equal((await blocktree(other, 'ledger', 'verify', '--from', 'x')).code, 2);

  const [table] = readdirSync(join(other, 'ledger')).filter((name) => name.endsWith('.ldb'));
  const path = join(other, 'ledger', table as string);
  const bytes = readFileSync(path);
  bytes[50] = (bytes[50] as number) ^ 1;
  writeFileSync(path, bytes);
  const broken = await blocktree(other, 'ledger', 'verify');
  assert.equal(broken.code, 1);
  assert.match(broken.out, new RegExp(`${table}: .*damaged`));
  assert.match(broken.out, /1 thing wrong\n(.*\n)*Move .* away\. Then start/);
  const refused = await blocktree(other, 'ledger', 'import', file);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /ledger verify/);
  // As it says: away with the folder, and the export put back.
  rmSync(join(other, 'ledger'), { recursive: true });
  assert.match((await blocktree(other, 'ledger', 'import', file)).out, /from block 0 to block 13/);
});

test('a snapshot is written and taken over, and a node that has none says so', async () => {
  const file = join(network.folder, 'snapshot');
  const written = await blocktree(data, 'ledger', 'snapshot', file, '--json');
  assert.equal(JSON.parse(written.out).height, 13);
  const empty = dataFolder('empty');
  assert.equal((await blocktree(empty, 'ledger', 'verify')).code, 1);
  assert.match((await blocktree(empty, 'ledger', 'import', file)).out, /to block 13/);
  const pruned = await blocktree(empty, 'ledger', 'export', join(network.folder, 'never'));
  assert.equal(pruned.code, 1);
  assert.match(pruned.err, /pruned/);
});
