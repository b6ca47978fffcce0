import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NodeError } from '../../errors.ts';
import { WriteAheadLog } from './write-ahead-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'blocktree-log-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'log');
const record = (n: number) => new Uint8Array(50 + n).fill(n);

async function written(count: number): Promise<Buffer> {
  rmSync(path, { force: true });
  const { log } = await WriteAheadLog.open(path);
  for (let n = 0; n < count; n++) {
    log.append(record(n));
    if (n % 3 === 0) await log.sync();
  }
  await log.close();
  return readFileSync(path);
}

test('records come back in order, and the log goes on behind them', async () => {
  await written(10);
  const { log, frames } = await WriteAheadLog.open(path);
  assert.deepEqual(
    frames.map(({ payload }) => payload[0]),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
  );
  log.append(record(10));
  await log.close();
  const again = await WriteAheadLog.open(path);
  assert.equal(again.frames.length, 11);
  await again.log.rewrite([record(7)]);
  again.log.append(record(8));
  await again.log.close();
  assert.deepEqual(
    (await WriteAheadLog.open(path)).frames.map(({ payload }) => payload[0]),
    [7, 8],
  );
});

test('a torn tail is dropped wherever it was cut; damage in the middle is refused', async () => {
  const whole = await written(6);
  for (let length = 0; length < whole.length; length += 7) {
    writeFileSync(path, whole.subarray(0, length));
    const { log, frames } = await WriteAheadLog.open(path);
    assert(frames.length < 6);
    assert(frames.every(({ payload }, n) => payload.length === 50 + n));
    await log.close();
  }
  for (const at of [3, 60, 130, 200]) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] as number) ^ 4;
    writeFileSync(path, damaged);
    await assert.rejects(
      WriteAheadLog.open(path),
      (error) => error instanceof NodeError && error.code === 'data-damaged',
    );
  }
});

test('bytes of strangers in a torn record are never taken for a record', async () => {
  await written(2);
  const { log } = await WriteAheadLog.open(path);
  const before = readFileSync(path);
  // A block may carry any bytes, a whole log of another node's too.
  log.append(Buffer.concat([Buffer.alloc(100), before, Buffer.alloc(2_000)]));
  await log.close();
  const whole = readFileSync(path);
  const stranger = await foreignLog();
  for (const bait of [stranger, Buffer.concat([stranger, stranger])]) {
    const torn = Buffer.concat([before, whole.subarray(before.length, before.length + 32), bait]);
    writeFileSync(path, torn);
    const again = await WriteAheadLog.open(path);
    assert.equal(again.frames.length, 2);
    await again.log.close();
  }
});

test('parts of one unsynced batch that came to the disk out of order are a torn write, not damage', async () => {
  await written(2);
  const { log } = await WriteAheadLog.open(path);
  const synced = readFileSync(path).length;
  for (let n = 2; n < 5; n++) log.append(record(n));
  await log.close();
  const bytes = readFileSync(path);
  bytes.fill(0, synced, synced + 40);
  writeFileSync(path, bytes);
  const again = await WriteAheadLog.open(path);
  assert.equal(again.frames.length, 2);
  await again.log.close();
  assert.equal(readFileSync(path).length, synced);
});

test('a new log of which only the length came to the disk is begun anew, under another id', async () => {
  const before = (await written(0)).subarray(8).toString('hex');
  writeFileSync(path, Buffer.alloc(24));
  const { log, frames } = await WriteAheadLog.open(path);
  assert.deepEqual(frames, []);
  assert.notEqual(log.id, before);
  await log.close();
  const again = await WriteAheadLog.open(path);
  assert.equal(again.log.id, log.id);
  await again.log.close();
});

test('another file in its place has another id; a rewritten one keeps it', async () => {
  await written(3);
  const first = await WriteAheadLog.open(path);
  await first.log.rewrite([record(1)]);
  await first.log.close();
  const again = await WriteAheadLog.open(path);
  assert.equal(again.log.id, first.log.id);
  assert.equal(again.frames.length, 1);
  await again.log.close();
  rmSync(path);
  const other = await WriteAheadLog.open(path);
  assert.notEqual(other.log.id, first.log.id);
  await other.log.close();
});

async function foreignLog(): Promise<Buffer> {
  const elsewhere = join(folder, 'stranger');
  rmSync(elsewhere, { force: true });
  const { log } = await WriteAheadLog.open(elsewhere);
  for (let n = 0; n < 5; n++) {
    log.append(record(n));
    await log.sync();
  }
  await log.close();
  return readFileSync(elsewhere);
}
