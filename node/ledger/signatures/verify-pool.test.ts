import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { u32 } from '../../../ledger/bytes.ts';
import { publicKeyOf, sign } from '../../../ledger/crypto/secp256k1.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { startWorkerThread } from '../../../market/worker-thread.ts';
import { NodeError } from '../../errors.ts';
import { packChecks, type SignatureCheck, verifyPacked } from './signature-batch.ts';
import { VerifyPool, type VerifyPoolOptions } from './verify-pool.ts';

const secret = sha256(u32(1));
const publicKey = publicKeyOf(secret);
/** `count` signatures, of which every seventh is of something else. */
function checks(count: number): { list: SignatureCheck[]; expected: boolean[] } {
  const list = Array.from({ length: count }, (_, i): SignatureCheck => {
    const digest = sha256(u32(i));
    return { publicKey, digest, signature: sign(i % 7 === 0 ? sha256(digest) : digest, secret) };
  });
  return { list, expected: list.map((_, i) => i % 7 !== 0) };
}
const pools: VerifyPool[] = [];
after(() => Promise.all(pools.map((pool) => pool.close())));
function open(options?: VerifyPoolOptions): VerifyPool {
  const pool = new VerifyPool(options);
  pools.push(pool);
  return pool;
}
const verifying = (): Worker =>
  startWorkerThread(new URL('./verify-pool.ts', import.meta.url).href, 'verify-worker');
const thread = (code: string): Worker => new Worker(code, { eval: true });
const closed = (error: unknown): boolean => error instanceof NodeError && error.code === 'not-running';

test('a packed batch answers in order; keys and signatures that are nonsense do not hold', () => {
  const { list, expected } = checks(9);
  const nonsense = { ...(list[1] as SignatureCheck), publicKey: new Uint8Array(33) };
  const forged = { ...(list[1] as SignatureCheck), signature: new Uint8Array(64).fill(255) };
  assert.deepEqual([...verifyPacked(packChecks([...list, nonsense, forged]))].map(Boolean), [
    ...expected,
    false,
    false,
  ]);
});

test('many callers at once each get their own verdicts', async () => {
  const pool = open({ threads: 2 });
  const sizes = [0, 1, 7, 8, 200, 201, 1_000];
  const asked = sizes.map(checks);
  const verdicts = await Promise.all(asked.map(({ list }, i) => pool.verify(list, i % 2 === 0)));
  assert.deepEqual(
    verdicts,
    asked.map(({ expected }) => expected),
  );
});

test('a thread that crashes costs no verdict, and another takes its place', async () => {
  let started = 0;
  const crashes: (Error | undefined)[] = [];
  const pool = open({
    threads: 1,
    start: () =>
      started++ === 0
        ? thread(`require('worker_threads').parentPort.on('message', () => { throw new Error('broken') })`)
        : verifying(),
    onCrash: (error) => crashes.push(error),
  });
  const { list, expected } = checks(900);
  assert.deepEqual(await pool.verify(list), expected);
  assert.equal(started, 2);
  assert.deepEqual(
    crashes.map((error) => error?.message),
    ['broken'],
  );
});

test('where no thread can live everything is verified here', async () => {
  let started = 0;
  const pool = open({
    threads: 1,
    start: () => {
      started++;
      return thread('process.exit(1)');
    },
  });
  const { list, expected } = checks(1_500);
  assert.deepEqual(await pool.verify(list), expected);
  assert.deepEqual(await pool.verify(list.slice(0, 20)), expected.slice(0, 20));
  assert.equal(started, 3);
});

test('a thread that does not answer is ended and its batch verified here', async () => {
  const pool = open({ threads: 1, deadlineMs: 200, start: () => thread('setInterval(() => {}, 1000)') });
  const { list, expected } = checks(20);
  assert.deepEqual(await pool.verify(list), expected);
});

test('closing rejects what is under way and ends the threads', async () => {
  const workers: Worker[] = [];
  const pool = open({
    threads: 1,
    start: () => {
      const worker = verifying();
      workers.push(worker);
      return worker;
    },
  });
  const under = pool.verify(checks(2_000).list);
  const gone = once(workers[0] as Worker, 'exit');
  const rejected = assert.rejects(under, closed);
  await pool.close();
  await rejected;
  await gone;
  await assert.rejects(pool.verify(checks(10).list), closed);
});
