import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { LocalQueue } from './local-queue.ts';
import type { Job, JobRecord } from './queue.ts';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 }));
afterEach(() => mock.timers.reset());

const settle = async (): Promise<void> => {
  for (let round = 0; round < 4; round++) await new Promise((resolve) => setImmediate(resolve));
};
const job = (kind: Job['kind'], id: string, notBeforeMs = 0): Job => ({
  id: `${kind}/${id}`,
  kind,
  data: {},
  notBeforeMs,
});
const never = (): Promise<string> => new Promise(() => undefined);

test('a job starts at its time, once, and says what it did', async () => {
  const changes: JobRecord[] = [];
  const queue = new LocalQueue(
    async ({ id }) => `did ${id}`,
    () => Date.now(),
    (record) => changes.push(record),
  );
  await queue.add(job('audit', 'a', 1_000));
  await queue.add(job('audit', 'a', 1_000));
  mock.timers.tick(999);
  await settle();
  assert.equal(queue.pending, 1);
  assert.equal(queue.list()[0]?.state, 'waiting');
  mock.timers.tick(1);
  await settle();
  await queue.add(job('audit', 'a'));
  await settle();
  assert.equal(queue.pending, 0);
  assert.deepEqual(
    changes.map(({ state }) => state),
    ['waiting', 'running', 'done'],
  );
  assert.equal(queue.list()[0]?.result, 'did audit/a');
  await queue.close();
});

test('a job that failed may be added again; its attempts are counted', async () => {
  let runs = 0;
  const queue = new LocalQueue(
    async () => {
      if (++runs === 1) throw new Error('not yet');
      return 'done';
    },
    () => Date.now(),
    () => undefined,
  );
  await queue.add(job('repair', 'a'));
  await settle();
  assert.deepEqual([queue.list()[0]?.state, queue.list()[0]?.result], ['failed', 'not yet']);
  await queue.add(job('repair', 'a'));
  await settle();
  assert.deepEqual([queue.list()[0]?.state, queue.list()[0]?.attempts], ['done', 2]);
  await queue.close();
});

test('jobs of one kind that hang do not delay those of another', async () => {
  const done: string[] = [];
  const queue = new LocalQueue(
    async ({ id, kind }) => (kind === 'settle' ? String(done.push(id)) : never()),
    () => Date.now(),
    () => undefined,
  );
  for (const kind of ['audit', 'repair', 'renew', 'clean'] as const)
    for (let i = 0; i < 40; i++) await queue.add(job(kind, String(i)));
  await queue.add(job('settle', 'a'));
  await settle();
  assert.deepEqual(done, ['settle/a']);
});

test('closing waits for what runs, but only so long', async () => {
  const queue = new LocalQueue(
    never,
    () => Date.now(),
    () => undefined,
  );
  await queue.add(job('repair', 'a'));
  await settle();
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  await settle();
  mock.timers.tick(10_000);
  await settle();
  assert(closed, 'closing waits for a job that never ends');
  await closing;
});
