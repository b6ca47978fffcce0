import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';

/** Real folders, damaged file by file: a node starts with all that was final, or it refuses and says what to do. */

let network: SmallNetwork;
let whole: string;
let height: number;
let stateRoot: string;

before(async () => {
  network = await SmallNetwork.create(1, 1, 0);
  whole = join(network.folder, 'whole');
  // Opened several times, so that there are tables as well as a journal.
  for (const blocks of [30, 40, 20]) {
    const chain = await Chain.open(whole, network.genesis);
    const grower = new ChainGrower(network, chain);
    if (chain.final.height === 0) await grower.claim();
    await grower.grow(blocks);
    height = chain.final.height;
    stateRoot = chain.header(chain.final.id)?.stateRoot as string;
    await chain.close();
  }
});
after(() => network.remove());

let copies = 0;
function copy(): { folder: string; ledger: string } {
  const folder = join(network.folder, `copy-${copies++}`);
  cpSync(whole, folder, { recursive: true });
  return { folder, ledger: join(folder, 'ledger') };
}
const files = (): string[] => readdirSync(join(whole, 'ledger'));
const needed = (): string[] => files().filter((name) => /^CURRENT$|^MANIFEST|\.ldb$|^\d+\.log$/.test(name));

async function refuses(folder: string, what: string): Promise<void> {
  await assert.rejects(
    Chain.open(folder, network.genesis),
    (error) =>
      error instanceof NodeError &&
      error.code === 'data-damaged' &&
      /ledger verify/.test(error.message) &&
      /move this folder away/.test(error.message) &&
      /ledger import/.test(error.message),
    what,
  );
  const { findings } = await verifyLedger({ dataFolder: folder, genesis: network.genesis });
  assert(findings.length > 0, `${what}: nothing is found by "ledger verify"`);
}
async function opensWhole(folder: string, what: string): Promise<void> {
  const chain = await Chain.open(folder, network.genesis);
  assert.equal(chain.final.height, height, what);
  assert.equal(chain.header(chain.final.id)?.stateRoot, stateRoot, what);
  await chain.close();
}

test('the folder has files of every kind, and opens as it is', async () => {
  assert(needed().length >= 4 && needed().some((name) => name.endsWith('.ldb')), String(files()));
  await opensWhole(copy().folder, 'untouched');
});

test('a file that is missing is refused, unless nothing depends on it', async () => {
  for (const name of files()) {
    const { folder, ledger } = copy();
    rmSync(join(ledger, name));
    if (needed().includes(name)) await refuses(folder, name);
    else await opensWhole(folder, name);
    rmSync(folder, { recursive: true });
  }
});

test('a file that was altered anywhere, emptied or cut is refused', async () => {
  for (const name of needed()) {
    const bytes = readFileSync(join(whole, 'ledger', name));
    for (let n = 0; n < 6; n++) {
      const { folder, ledger } = copy();
      const changed = Buffer.from(bytes);
      const at = Math.floor((n * (bytes.length - 60)) / 6);
      changed[Math.max(0, at)] = (changed[Math.max(0, at)] as number) ^ 0x11;
      writeFileSync(join(ledger, name), changed);
      await refuses(folder, `${name} altered at ${at}`);
      rmSync(folder, { recursive: true });
    }
    for (const keep of [0, 0.5, 0.98]) {
      const { folder, ledger } = copy();
      truncateSync(join(ledger, name), Math.floor(statSync(join(ledger, name)).size * keep));
      await refuses(folder, `${name} cut to ${keep}`);
      rmSync(folder, { recursive: true });
    }
  }
});

test('an older state of the files under the same roof is refused', async () => {
  const { folder, ledger } = copy();
  const chain = await Chain.open(folder, network.genesis);
  await new ChainGrower(network, chain).grow(2);
  await chain.close();
  const mark = readFileSync(join(ledger, 'height'));
  renameSync(ledger, `${ledger}.newer`);
  cpSync(join(whole, 'ledger'), ledger, { recursive: true });
  await opensWhole(folder, 'with the mark of its own time');
  writeFileSync(join(ledger, 'height'), mark);
  await refuses(folder, 'with the mark of later blocks');
});

test('a ledger that a node has open is in use, whatever its files look like', async () => {
  const { folder, ledger } = copy();
  const chain = await Chain.open(folder, network.genesis);
  rmSync(join(ledger, 'CURRENT'));
  await assert.rejects(
    Chain.open(folder, network.genesis),
    (error) => error instanceof NodeError && error.code === 'data-in-use',
  );
  await chain.close();
});

test('what the message says to do works: with the folder moved away the node begins anew', async () => {
  const { folder, ledger } = copy();
  rmSync(join(ledger, 'CURRENT'));
  await refuses(folder, 'damaged');
  renameSync(ledger, join(folder, 'damaged'));
  const chain = await Chain.open(folder, network.genesis);
  assert.equal(chain.final.height, 0);
  await chain.close();
  // A first start that was cut off before there was anything is no damage either.
  const begun = join(network.folder, 'begun');
  mkdirSync(join(begun, 'ledger'), { recursive: true });
  writeFileSync(join(begun, 'ledger', 'MANIFEST-000001'), '');
  await (await Chain.open(begun, network.genesis)).close();
});
