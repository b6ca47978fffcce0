import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeId } from '../../ledger/ids.ts';
import { NetworkError } from './network-error.ts';
import { ServingSlots } from './serving-slots.ts';

const overloaded = (error: unknown): boolean => error instanceof NetworkError && error.code === 'overloaded';

test('one peer gets its share and no more, all together get the whole, and slots come back', async () => {
  const slots = new ServingSlots(3, 2);
  const open: (() => void)[] = [];
  const ask = (peer: string): Promise<string> =>
    slots.answer(peer as NodeId, () => new Promise((resolve) => open.push(() => resolve(peer))));
  const under = [ask('a'), ask('a')];
  await assert.rejects(ask('a'), overloaded);
  under.push(ask('b'));
  await assert.rejects(ask('c'), overloaded);
  for (const end of open.splice(0)) end();
  assert.deepEqual(await Promise.all(under), ['a', 'a', 'b']);
  await assert.rejects(
    slots.answer('a' as NodeId, () => Promise.reject(new Error('no'))),
    /no/,
  );
  under.push(ask('a'), ask('a'), ask('c'));
  for (const end of open.splice(0)) end();
  assert.equal((await Promise.all(under)).length, 6);
});
