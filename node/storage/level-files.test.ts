import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Level } from 'level';
import { until } from '../../test/support/until.ts';
import { NodeError } from '../errors.ts';
import { LevelKeyValues } from './key-values.ts';
import { checkLevelFiles } from './level-files.ts';
import { isOpenSomewhere } from './level-lock.ts';

const root = mkdtempSync(join(tmpdir(), 'blocktree-level-'));
const whole = join(root, 'whole');
after(() => rmSync(root, { recursive: true, force: true }));

/** A database with tables of compressible and of random blocks, and a journal of several blocks. */
before(async () => {
  const db = new Level<string, Uint8Array>(whole, { valueEncoding: 'view', writeBufferSize: 256 * 1_024 });
  for (let round = 0; round < 12; round++) {
    await db.batch(
      Array.from({ length: 200 }, (_, i) => ({
        type: 'put' as const,
        key: `key ${round} ${i}`,
        value: i % 2 === 0 ? Buffer.alloc(700, i + 1) : Buffer.from(String(Math.sin(round + i)).repeat(20)),
      })),
      { sync: true },
    );
  }
  // A compaction that the end cuts off leaves files behind that nobody misses.
  let last = '';
  await until(
    () => {
      const now = readdirSync(whole).sort().join(' ');
      const atRest = now === last && now.match(/\d+\.log/g)?.length === 1;
      last = now;
      return atRest;
    },
    10_000,
    'the database to come to rest',
  );
  await db.close();
});

let copies = 0;
function copy(): string {
  const folder = join(root, String(copies++));
  cpSync(whole, folder, { recursive: true });
  return folder;
}
const filesOf = (pattern: RegExp): string[] =>
  readdirSync(whole).filter((name) => pattern.test(name) && statSync(join(whole, name)).size > 0);

test('a whole database has nothing wrong, nor has a folder without one', async () => {
  assert(filesOf(/\.ldb$/).length > 1 && filesOf(/^\d+\.log$/).length === 1);
  assert.deepEqual(await checkLevelFiles(whole), []);
  assert.deepEqual(await checkLevelFiles(join(root, 'none')), []);
});

test('a first start that was killed before LevelDB wrote anything is no damage, and goes on', async () => {
  const folder = join(root, 'begun');
  mkdirSync(folder);
  // As LevelDB leaves it between its first manifest, which names no journal, and the second.
  const manifest = '957cb9c5220001011a6c6576656c64622e4279746577697365436f6d70617261746f72020003020400';
  writeFileSync(join(folder, 'MANIFEST-000001'), Buffer.from(manifest, 'hex'));
  writeFileSync(join(folder, 'CURRENT'), 'MANIFEST-000001\n');
  writeFileSync(join(folder, '000003.log'), '');
  assert.deepEqual(await checkLevelFiles(folder), []);
  const db = new Level<string, string>(folder);
  await db.put('a', 'b');
  await db.close();
  assert.deepEqual(await checkLevelFiles(folder), []);
  // With something written beside it, that manifest is not the one that was in force.
  const current = readFileSync(join(folder, 'CURRENT'), 'latin1').trim();
  writeFileSync(join(folder, current), Buffer.from(manifest, 'hex'));
  assert((await checkLevelFiles(folder)).length > 0);
});

test('every file that is missing is named', async () => {
  for (const name of filesOf(/^CURRENT$|^MANIFEST|\.ldb$|^\d+\.log$/)) {
    const folder = copy();
    rmSync(join(folder, name));
    const [damage] = await checkLevelFiles(folder);
    assert(damage !== undefined, name);
    assert(
      damage.file.endsWith(name) || (name.startsWith('MANIFEST') && damage.file.endsWith('CURRENT')),
      damage.file,
    );
  }
});

test('a byte changed anywhere in a table, or before the last record of a journal, is found', async () => {
  for (const name of filesOf(/^MANIFEST|\.ldb$|^\d+\.log$/)) {
    const bytes = readFileSync(join(whole, name));
    // In a table the padding of the footer and unused bytes between blocks mean nothing.
    const last = name.endsWith('.ldb') ? bytes.length - 60 : Math.max(7, bytes.length - 40_000);
    for (let n = 0; n < 12; n++) {
      const folder = copy();
      const at = Math.floor((last * n) / 12);
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x40;
      writeFileSync(join(folder, name), changed);
      const damages = await checkLevelFiles(folder);
      assert.equal(damages.length > 0, true, `${name} at ${at}`);
      rmSync(folder, { recursive: true });
    }
  }
});

test('tables that were cut short or grew are found; a torn journal is not damage', async () => {
  const [table] = filesOf(/\.ldb$/) as [string];
  const [journal] = filesOf(/^\d+\.log$/) as [string];
  const short = copy();
  truncateSync(join(short, table), 5_000);
  assert.match((await checkLevelFiles(short))[0]?.what ?? '', /another size/);
  const long = copy();
  appendFileSync(join(long, table), 'more');
  assert.match((await checkLevelFiles(long))[0]?.what ?? '', /another size/);
  const torn = copy();
  truncateSync(join(torn, journal), statSync(join(torn, journal)).size - 100);
  assert.deepEqual(await checkLevelFiles(torn), []);
});

test('a journal that a power cut left a gap in ends at the gap: nothing that came after it is there', async () => {
  const folder = join(root, 'gap');
  const db = new Level<string, string>(folder);
  for (let n = 0; n < 40; n++) await db.put(`key ${n}`, 'x'.repeat(2_000));
  await db.close();
  const [journal] = readdirSync(folder).filter((name) => name.endsWith('.log')) as [string];
  const path = join(folder, journal);
  writeFileSync(path, readFileSync(path).fill(0, 41_472, 41_984));
  assert.deepEqual(await checkLevelFiles(folder), []);
  const again = new Level<string, string>(folder);
  const keys = await again.keys().all();
  await again.close();
  assert.equal(keys.length, 20);
  assert(keys.every((key) => Number(key.slice(4)) < 20));
});

test('a gap in a journal that another one follows is damage: what follows was written when it was synced', async () => {
  const [journal] = filesOf(/^\d+\.log$/) as [string];
  const folder = copy();
  const bytes = readFileSync(join(folder, journal)).fill(0, 512, 1_024);
  writeFileSync(join(folder, journal), bytes);
  writeFileSync(join(folder, '999999.log'), '');
  const [damage] = await checkLevelFiles(folder);
  assert(damage?.file.endsWith(journal), damage?.file);
  assert.deepEqual(readFileSync(join(folder, journal)), bytes);
});

test('another file under the name of a journal is found: LevelDB would end the process over it', async () => {
  const [manifest] = filesOf(/^MANIFEST/) as [string];
  const [journal] = filesOf(/^\d+\.log$/) as [string];
  const swapped = copy();
  copyFileSync(join(swapped, manifest), join(swapped, journal));
  const [damage] = await checkLevelFiles(swapped);
  assert(damage?.file.endsWith(journal), damage?.file);
});

test('the database of the market is not opened with a damaged file, and the file is named', async () => {
  const folder = copy();
  const [table] = filesOf(/\.ldb$/) as [string];
  const bytes = readFileSync(join(folder, table));
  bytes[10] = (bytes[10] as number) ^ 1;
  writeFileSync(join(folder, table), bytes);
  await assert.rejects(
    LevelKeyValues.open(folder),
    (error) => error instanceof NodeError && error.code === 'data-damaged' && error.message.includes(table),
  );
  const fresh = await LevelKeyValues.open(join(root, 'fresh'));
  await fresh.close();
});

test('a database that is open is told from a damaged one, though its files change', async () => {
  const folder = copy();
  assert.equal(isOpenSomewhere(folder), false);
  assert.equal(isOpenSomewhere(join(root, 'none')), false);
  const open = await LevelKeyValues.open(folder);
  assert.equal(isOpenSomewhere(folder), true);
  rmSync(join(folder, 'CURRENT'));
  await assert.rejects(
    LevelKeyValues.open(folder),
    (error) => error instanceof NodeError && error.code === 'data-in-use',
  );
  await open.close();
  assert.equal(isOpenSomewhere(folder), false);
});
