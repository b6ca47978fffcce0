import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { utf8 } from '../../../ledger/bytes.ts';
import { accountNumber, ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { type Database, ledgerLocation, openUnchecked, sortable } from '../store/ledger-database.ts';
import { type VerifyReport, verifyLedger } from './verify-ledger.ts';

let network: SmallNetwork;
let whole: string;

before(async () => {
  network = await SmallNetwork.create(4, 4, 0);
  whole = join(network.folder, 'whole');
  const chain = await Chain.open(whole, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(80, 4);
  await chain.close();
});
after(() => network.remove());

let copies = 0;
/** What is found in a copy in which something was done to the database. */
async function foundAfter(change: (db: Database) => Promise<void>): Promise<VerifyReport> {
  const dataFolder = join(network.folder, `copy-${copies++}`);
  cpSync(whole, dataFolder, { recursive: true });
  const db = await openUnchecked(ledgerLocation(dataFolder));
  await change(db);
  await db.close();
  return verifyLedger({ dataFolder, genesis: network.genesis });
}
function names(report: VerifyReport, where: RegExp, what: RegExp): void {
  assert(
    report.findings.some((finding) => where.test(finding.where) && what.test(finding.what)),
    JSON.stringify(report.findings),
  );
  assert.match(report.whatToDo ?? '', /move .* away\. Then start.*ledger import/i);
}

test('a whole ledger has nothing wrong, executed again too, and leaves nothing behind', async () => {
  const parts = new Set<string>();
  const report = await verifyLedger({
    dataFolder: whole,
    genesis: network.genesis,
    replay: true,
    onProgress: (part) => parts.add(part),
  });
  assert.deepEqual(report.findings, []);
  assert.equal(report.whatToDo, undefined);
  assert.equal(report.height, 81);
  assert.equal(report.blocks, 82);
  assert.equal(report.replayed, 81);
  assert(report.rows > 320 && report.pages > 16);
  assert(parts.has('blocks') && parts.has('replay'));
  assert(!existsSync(join(whole, 'ledger-replay')));
  // What was checked can still be opened.
  await (await Chain.open(whole, network.genesis)).close();
});

test('what is damaged is named: a changed row, a missing one, one too many, a page', async () => {
  const row = `s/account/${accountNumber(7)}`;
  names(
    await foundAfter(async (db) => {
      const bytes = Uint8Array.from(db.getSync(row) as Uint8Array);
      bytes[7] = (bytes[7] as number) + 1;
      await db.put(row, bytes);
    }),
    new RegExp(`row account/${accountNumber(7)}`),
    /changed/,
  );
  names(await foundAfter((db) => db.del(row)), new RegExp(accountNumber(7)), /missing/);
  names(await foundAfter((db) => db.put('s/account/02ff', utf8('x'))), /row account\/02ff/, /order/);
  const page = await foundAfter((db) => db.del('p/3'));
  names(page, /page "3"/, /missing/);
  assert.equal(page.findings.length, 1, JSON.stringify(page.findings));
  names(await foundAfter((db) => db.put('p/abcdef', utf8('x'))), /page "abcdef"/, /no rows/);
  const changedPage = await foundAfter(async (db) => {
    const bytes = Uint8Array.from(db.getSync('p/') as Uint8Array);
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
    await db.put('p/', bytes);
  });
  names(changedPage, /page ""/, /not what the rows give/);
});

test('what is damaged is named: a block changed, missing, unrecorded; a certificate of nobody', async () => {
  const idAt = (db: Database, height: number): string =>
    new TextDecoder().decode(db.getSync(`h/${sortable(height)}`));
  names(
    await foundAfter(async (db) => {
      const key = `b/${idAt(db, 40)}`;
      const bytes = Uint8Array.from(db.getSync(key) as Uint8Array);
      bytes[300] = (bytes[300] as number) ^ 1;
      await db.put(key, bytes);
    }),
    /^block 40$/,
    /changed/,
  );
  names(await foundAfter((db) => db.del(`b/${idAt(db, 17)}`)), /^block 17$/, /missing/);
  names(await foundAfter((db) => db.del(`h/${sortable(23)}`)), /^block 23$/, /not recorded/);
  names(await foundAfter((db) => db.put(`h/${sortable(23)}`, utf8(idAt(db, 22)))), /^block 23$/, /height 22/);
  names(
    await foundAfter(async (db) => {
      const final = JSON.parse(new TextDecoder().decode(db.getSync('m/final')));
      const certificate = Buffer.from(final.certificate, 'base64');
      certificate[certificate.length - 1] = (certificate.at(-1) as number) ^ 1;
      await db.put(
        'm/final',
        utf8(JSON.stringify({ ...final, certificate: certificate.toString('base64') })),
      );
    }),
    /certificate/,
    /signature/,
  );
  names(await foundAfter((db) => db.put('m/final', utf8('{"id":'))), /newest block/, /cannot be read/);
  names(await foundAfter((db) => db.del('m/final')), /newest block/, /missing/);
});

test('a damaged file is named before anything is opened; no ledger and another network are told apart', async () => {
  const dataFolder = join(network.folder, 'damaged');
  cpSync(whole, dataFolder, { recursive: true });
  const [table] = readdirSync(join(dataFolder, 'ledger')).filter((name) => name.endsWith('.ldb'));
  const path = join(dataFolder, 'ledger', table as string);
  const bytes = readFileSync(path);
  bytes[100] = (bytes[100] as number) ^ 1;
  writeFileSync(path, bytes);
  names(await verifyLedger({ dataFolder, genesis: network.genesis }), new RegExp(table as string), /damaged/);
  const thrown = (code: string) => (error: unknown) => error instanceof NodeError && error.code === code;
  await assert.rejects(
    verifyLedger({ dataFolder: join(network.folder, 'nothing'), genesis: network.genesis }),
    thrown('not-found'),
  );
  await assert.rejects(
    verifyLedger({ dataFolder: whole, genesis: { ...network.genesis, name: 'other' } }),
    thrown('data-of-another-chain'),
  );
  const chain = await Chain.open(whole, network.genesis);
  await assert.rejects(verifyLedger({ dataFolder: whole, genesis: network.genesis }), thrown('data-in-use'));
  await chain.close();
});
