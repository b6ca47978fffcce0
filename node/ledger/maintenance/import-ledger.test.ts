import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { encodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { accountNumber, ChainGrower } from '../../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { NodeError } from '../../errors.ts';
import { Chain } from '../chain/chain.ts';
import { encodeFinal } from '../store/final-record.ts';
import { type CertifiedHeader, newestCertified } from '../store/finality.ts';
import { exportLedger, type FileReport, writeSnapshot } from './export-ledger.ts';
import { importLedger } from './import-ledger.ts';
import { encodeHead, FRAME, LedgerFileWriter, readFrames } from './ledger-file.ts';
import { verifyLedger } from './verify-ledger.ts';

let network: SmallNetwork;
let source: Chain;
let grower: ChainGrower;
let exported: FileReport;
let snapshot: FileReport;

before(async () => {
  network = await SmallNetwork.create(4, 4, 0);
  source = await Chain.open(join(network.folder, 'source'), network.genesis);
  grower = new ChainGrower(network, source);
  await grower.claim();
  await grower.grow(200, 4);
  exported = await exportLedger(source, join(network.folder, 'ledger.export'));
  snapshot = await writeSnapshot(source, join(network.folder, 'ledger.snapshot'));
});
after(async () => {
  await source.close();
  network.remove();
});

let folders = 0;
const newFolder = (): string => join(network.folder, `folder-${folders++}`);
async function fresh(): Promise<Chain> {
  return Chain.open(newFolder(), network.genesis);
}
const refused = (code: string, message: RegExp) => (error: unknown) =>
  error instanceof NodeError && error.code === code && message.test(error.message);

test('an export brings a fresh folder to the same state, and again changes nothing', async () => {
  const folder = newFolder();
  const chain = await Chain.open(folder, network.genesis);
  assert.deepEqual(await importLedger(chain, exported.file), { kind: 'export', from: 0, height: 201 });
  assert.deepEqual(encodeFinal(chain.final), encodeFinal(source.final));
  assert.deepEqual(await importLedger(chain, exported.file), { kind: 'export', from: 201, height: 201 });
  await assert.rejects(exportLedger(chain, exported.file), refused('exists', /exists already/));
  await chain.close();
  const report = await verifyLedger({ dataFolder: folder, genesis: network.genesis, replay: true });
  assert.deepEqual(report.findings, []);
  assert.equal(report.replayed, 201);
});

test('a snapshot brings a fresh folder to the same state, which goes on from there; old bodies are told to be pruned', async () => {
  const folder = newFolder();
  const chain = await Chain.open(folder, network.genesis);
  assert.deepEqual(await importLedger(chain, snapshot.file), { kind: 'snapshot', from: 0, height: 201 });
  assert.deepEqual(encodeFinal(chain.final), encodeFinal(source.final));
  assert.deepEqual(accountOf(chain.state, accountNumber(5)), accountOf(source.state, accountNumber(5)));
  assert.equal(chain.store.prunedHeight, 201);
  const old = chain.store.idAt(100);
  assert.equal(old, source.store.idAt(100));
  assert(old !== undefined && chain.header(old) !== undefined && chain.blockBytes(old) === undefined);
  await assert.rejects(exportLedger(chain, join(network.folder, 'no.export')), refused('pruned', /snapshot/));
  assert(!existsSync(join(network.folder, 'no.export')));
  // The next blocks of the network are executed on it.
  const before = source.final.height;
  await grower.grow(3);
  for (let height = before + 1; height <= source.final.height; height++) {
    const block = source.store.block(source.store.idAt(height) as NonNullable<typeof old>);
    assert(block !== undefined);
    const id = await chain.execute(block);
    await chain.commit([id], { epoch: 0, view: block.header.view, certificate: undefined });
  }
  assert.equal(chain.final.id, source.final.id);
  await chain.close();
  assert.deepEqual((await verifyLedger({ dataFolder: folder, genesis: network.genesis })).findings, []);
  await (await Chain.open(folder, network.genesis)).close();
});

test('an import that was cut off goes on where it was', async () => {
  const folder = newFolder();
  let chain = await Chain.open(folder, network.genesis);
  let blocks = 0;
  await assert.rejects(
    importLedger(chain, exported.file, (part) => {
      if (part === 'blocks' && ++blocks === 150) throw new Error('power cut');
    }),
    /power cut/,
  );
  const reached = chain.final.height;
  assert(reached >= 64 && reached < 201, String(reached));
  await chain.close();
  chain = await Chain.open(folder, network.genesis);
  assert.deepEqual(await importLedger(chain, exported.file), { kind: 'export', from: reached, height: 201 });
  await chain.close();
});

test('a snapshot that was cut off leaves the old state in force, and what it left is used or cleared away', async () => {
  for (const [next, kind] of [
    [snapshot, 'snapshot'],
    [exported, 'export'],
  ] as const) {
    const folder = newFolder();
    let chain = await Chain.open(folder, network.genesis);
    const root = chain.header(chain.final.id)?.stateRoot;
    await assert.rejects(
      importLedger(chain, snapshot.file, (part) => {
        if (part === 'state') throw new Error('power cut');
      }),
      /power cut/,
    );
    assert.equal(chain.header(chain.final.id)?.stateRoot, root);
    assert.equal(chain.store.idAt(200), undefined, 'blocks that are not final here');
    await chain.close();
    chain = await Chain.open(folder, network.genesis);
    assert.deepEqual(await importLedger(chain, next.file), { kind, from: 0, height: 201 });
    assert.equal(chain.final.id, next.blockId);
    await chain.close();
    chain = await Chain.open(folder, network.genesis);
    const { place, database } = chain.store;
    const other = place === '' ? '1' : '';
    assert.deepEqual(await database.keys({ gte: `s${other}/`, lt: `s${other}0` }).all(), []);
    await chain.close();
    assert.deepEqual((await verifyLedger({ dataFolder: folder, genesis: network.genesis })).findings, []);
  }
});

test('a torn or changed file is refused with where, and takes nothing over', async () => {
  const chain = await fresh();
  for (const { file } of [exported, snapshot]) {
    const bytes = readFileSync(file);
    for (const at of [5, 40, 3_000, Math.floor(bytes.length / 2), bytes.length - 10]) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 4;
      writeFileSync(`${file}.changed`, changed);
      await assert.rejects(
        importLedger(chain, `${file}.changed`),
        refused('file-damaged', /changed|cut off|begin|exchanged/),
      );
    }
    for (const keep of [0, 4, 50, 5_000, bytes.length - 1]) {
      writeFileSync(`${file}.torn`, bytes);
      truncateSync(`${file}.torn`, keep);
      await assert.rejects(importLedger(chain, `${file}.torn`), refused('file-damaged', /cut off|empty/));
    }
    writeFileSync(`${file}.long`, Buffer.concat([bytes, Buffer.from('more')]));
    await assert.rejects(importLedger(chain, `${file}.long`), refused('file-damaged', /added/));
  }
  assert.equal(chain.final.height, 0);
  await assert.rejects(importLedger(chain, join(network.folder, 'none')), refused('not-found', /no file/));
  await chain.close();
});

test('what is no file is told from a damaged one: a folder, a pipe that nobody writes to', async () => {
  const chain = await fresh();
  const pipe = join(network.folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const path of [network.folder, pipe])
    await assert.rejects(importLedger(chain, path), refused('not-a-file', /read twice/));
  const odd = join(network.folder, 'odd');
  for (const [bytes, said] of [
    [Buffer.alloc(0), /is empty/],
    [gzipSync(readFileSync(exported.file)), /unpack it first/],
    [Buffer.from('# A page of text'), /does not begin as/],
    [Buffer.from('short'), /cut off at byte 5/],
  ] as const) {
    writeFileSync(odd, bytes);
    await assert.rejects(importLedger(chain, odd), refused('file-damaged', said));
  }
  await chain.close();
});

test('a file that announces more than a part may have, or has parts without end, is refused where it begins', async () => {
  const chain = await fresh();
  const bytes = readFileSync(exported.file);
  const giant = join(network.folder, 'giant');
  for (const length of [0xffff_ffff, 3 * 1_048_576]) {
    const changed = Buffer.from(bytes);
    changed.writeUInt32BE(length, changed.readUInt32BE(0) + 9);
    writeFileSync(giant, changed);
    await assert.rejects(importLedger(chain, giant), refused('file-damaged', /changed at byte/));
  }
  const many = await forge(exported.file, (type, payload) => {
    const junk = boundaryOf(source);
    return type === FRAME.head
      ? [[type, payload], ...Array(200).fill([FRAME.boundary, junk])]
      : [[type, payload]];
  });
  let read = 0;
  await assert.rejects(
    importLedger(chain, many, (_, doneBytes) => {
      read = doneBytes;
    }),
    refused('file-damaged', /not what it says/),
  );
  assert(read < 5_000, `${read} bytes were read of ${statSync(many).size}`);
  await chain.close();
});

/** The newest block as if it were the last of an epoch. */
function boundaryOf({ store }: Chain): Uint8Array {
  return encodeBoundary({
    ...(newestCertified(store) as CertifiedHeader),
    nextSeats: network.genesis.committee,
  });
}

/** The file again with its parts changed, sealed as a whole one is. */
async function forge(
  file: string,
  change: (type: number, payload: Buffer, index: number) => readonly (readonly [number, Uint8Array])[],
): Promise<string> {
  const path = join(network.folder, `forged-${folders++}`);
  const writer = await LedgerFileWriter.create(path);
  let index = 0;
  for await (const { type, payload } of readFrames(file)) {
    if (type === FRAME.end) break;
    for (const [other, bytes] of change(type, payload, index)) await writer.write(other, bytes);
    index++;
  }
  await writer.finish();
  return path;
}

test('a well-made file that proves nothing is refused before anything of it is executed', async () => {
  const chain = await fresh();
  const forged = (code: string, message: RegExp, path: Promise<string>): Promise<void> =>
    path.then((file) => assert.rejects(importLedger(chain, file), refused(code, message)));
  const flip = (payload: Buffer, at: number): Buffer => {
    const changed = Buffer.from(payload);
    changed[at] = (changed[at] as number) ^ 1;
    return changed;
  };
  await forged(
    'file-damaged',
    /signature/,
    forge(exported.file, (type, p) => [[type, type === FRAME.final ? flip(p, p.length - 1) : p]]),
  );
  await forged(
    'file-damaged',
    /missing/,
    forge(exported.file, (type, p) => (type === FRAME.final ? [] : [[type, p]])),
  );
  await forged(
    'file-damaged',
    /follow/,
    forge(exported.file, (type, p, i) => (i === 100 ? [] : [[type, p]])),
  );
  await forged(
    'file-damaged',
    /last block/,
    forge(exported.file, (type, p, i) => (i > 195 ? [] : [[type, p]])),
  );
  await forged(
    'file-damaged',
    /kind 77/,
    forge(exported.file, (type, p, i) => (i === 9 ? [[77, p]] : [[type, p]])),
  );
  // A body that is not the header's comes up when it is executed, and what was executed before is sound.
  await forged(
    'file-damaged',
    /not what it says/,
    forge(exported.file, (type, p, i) => [[type, i === 150 ? flip(p, 300) : p]]),
  );
  assert(chain.final.height >= 64 && chain.final.height < 150);
  await chain.close();
  const other = await fresh();
  const chunkMissing = forge(snapshot.file, (type, p) => (type === FRAME.chunk ? [] : [[type, p]]));
  await assert.rejects(importLedger(other, await chunkMissing), refused('file-damaged', /chunks/));
  const rowChanged = forge(snapshot.file, (type, p) => [[type, type === FRAME.chunk ? flip(p, 150) : p]]);
  await assert.rejects(importLedger(other, await rowChanged), refused('file-damaged', /not what it says/));
  assert.equal(other.final.height, 0);
  const foreign = forge(exported.file, (type, p) => [
    [
      type,
      type === FRAME.head
        ? encodeHead({
            kind: 'export',
            chainId: 'ab'.repeat(32) as never,
            height: 1,
            blockId: 'cd'.repeat(32) as never,
          })
        : p,
    ],
  ]);
  await assert.rejects(
    importLedger(other, await foreign),
    refused('data-of-another-chain', /another network/),
  );
  await other.close();
});
