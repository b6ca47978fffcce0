import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { genesisToJson } from '../../../ledger/genesis.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { Chain } from '../chain/chain.ts';
import { exportLedger, writeSnapshot } from './export-ledger.ts';
import { importLedger } from './import-ledger.ts';
import { verifyLedger } from './verify-ledger.ts';

/** kill -9 in the middle of taking a ledger over: what is there afterwards is whole, and the rest can be taken over. */

const CHILD = fileURLToPath(new URL('../../../test/support/import-child.ts', import.meta.url));
/** So many blocks are there before. */
const BEFORE = 8;
let network: SmallNetwork;
let networkFile: string;
let begun: string;
let height: number;
let files: { readonly export: string; readonly snapshot: string };

before(async () => {
  network = await SmallNetwork.create(1, 1, 0);
  networkFile = join(network.folder, 'network.json');
  writeFileSync(networkFile, JSON.stringify(genesisToJson(network.genesis)));
  begun = join(network.folder, 'begun');
  let chain = await Chain.open(begun, network.genesis);
  let grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(BEFORE - 1, 100);
  await chain.close();
  const source = join(network.folder, 'source');
  cpSync(begun, source, { recursive: true });
  chain = await Chain.open(source, network.genesis);
  grower = new ChainGrower(network, chain);
  await grower.grow(1, 1);
  await grower.grow(140, 60);
  ({ height } = chain.final);
  files = { export: join(network.folder, 'export'), snapshot: join(network.folder, 'snapshot') };
  await exportLedger(chain, files.export);
  await writeSnapshot(chain, files.snapshot);
  await chain.close();
});
after(() => network.remove());

let folders = 0;
/** Runs an import and kills it `delayMs` after the `lines`-th line of that part, if it lives so long. */
async function killed(file: string, part: string, lines: number, delayMs: number): Promise<string> {
  const folder = join(network.folder, `killed-${folders++}`);
  cpSync(begun, folder, { recursive: true });
  const child = spawn(process.execPath, ['--import', 'tsx', CHILD, folder, file, networkFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let seen = 0;
  for await (const line of createInterface(child.stdout)) {
    if (!line.startsWith(part) || ++seen !== lines) continue;
    await Promise.race([pause(delayMs), ended]);
    child.kill('SIGKILL');
  }
  await ended;
  return folder;
}

for (const [kind, part, moments] of [
  [
    'snapshot',
    'state',
    [
      [1, 0],
      [1, 20],
      [1, 80],
      [1, 200],
    ],
  ],
  [
    'export',
    'blocks',
    [
      [20, 0],
      [70, 5],
      [139, 40],
    ],
  ],
] as const) {
  test(`${kind}: an import that is killed leaves a whole ledger, which takes over the rest`, async () => {
    for (const [lines, delayMs] of moments) {
      const dataFolder = await killed(files[kind], part, lines, delayMs);
      const report = await verifyLedger({ dataFolder, genesis: network.genesis });
      assert.deepEqual(report.findings, [], `${lines} ${delayMs}`);
      assert(report.height >= BEFORE, String(report.height));
      if (kind === 'snapshot') assert([BEFORE, height].includes(report.height), String(report.height));
      const chain = await Chain.open(dataFolder, network.genesis);
      assert.equal((await importLedger(chain, files[kind])).height, height);
      await chain.close();
      assert.deepEqual((await verifyLedger({ dataFolder, genesis: network.genesis })).findings, []);
    }
  });
}
