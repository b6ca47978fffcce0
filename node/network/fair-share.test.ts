import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressGroup, placeFor } from './fair-share.ts';

test('an IPv4 address is one person, and so is a /64 of IPv6, however it is written', () => {
  assert.equal(addressGroup('203.0.113.7'), '203.0.113.7');
  assert.equal(addressGroup('::ffff:203.0.113.7'), '203.0.113.7');
  assert.notEqual(addressGroup('203.0.113.7'), addressGroup('203.0.113.8'));
  const one = addressGroup('2001:db8:0:1::1');
  for (const same of [
    '2001:0db8:0000:0001:ffff:1:2:3',
    '2001:DB8:0:1:0:0:0:9',
    '2001:db8:0:1::',
    '2001:db8:0:1::%eth0',
  ])
    assert.equal(addressGroup(same), one, same);
  for (const other of ['2001:db8:0:2::1', '2001:db8::1', '2001:db8:1::1', '::1', '::'])
    assert.notEqual(addressGroup(other), one, other);
});

const guest = (address: string, usedMs: number) => ({ address: `${address}:7000`, usedMs });
const stranger = (address: string) => ({ address: `${address}:7000`, preferred: false });

test('a free place is taken, but those that are reserved only by whom they are for', () => {
  assert.equal(placeFor(stranger('1.1.1.1'), 17, 16, []), 'free');
  assert.equal(placeFor(stranger('1.1.1.1'), 16, 16, []), undefined);
  assert.equal(placeFor({ ...stranger('1.1.1.1'), preferred: true }, 1, 16, []), 'free');
  assert.equal(placeFor({ ...stranger('1.1.1.1'), preferred: true }, 0, 16, []), undefined);
});

test('where all is full, addresses share: one that holds most gives way to others, never to itself', () => {
  const crowd = [guest('6.6.6.6', 30), guest('6.6.6.6', 10), guest('2.2.2.2', 1), guest('6.6.6.6', 20)];
  assert.deepEqual(placeFor(stranger('1.1.1.1'), 0, 16, crowd), guest('6.6.6.6', 10));
  assert.equal(placeFor(stranger('6.6.6.6'), 0, 16, crowd), undefined);
  assert.deepEqual(placeFor(stranger('2.2.2.2'), 0, 16, crowd), guest('6.6.6.6', 10));
  const even = [guest('6.6.6.6', 30), guest('6.6.6.6', 10), guest('2.2.2.2', 1), guest('2.2.2.2', 2)];
  assert.equal(placeFor(stranger('2.2.2.2'), 0, 16, even), undefined);
  assert.deepEqual(placeFor({ ...stranger('1.1.1.1'), preferred: true }, 0, 16, even), guest('2.2.2.2', 1));
});
