import assert from 'node:assert/strict';
import test from 'node:test';
import { addressBlock } from './address-block.ts';

test('an IPv4 address counts for itself, however it is written', () => {
  assert.equal(addressBlock('192.0.2.7'), '192.0.2.7');
  assert.equal(addressBlock('::ffff:192.0.2.7'), '192.0.2.7');
});

test('the addresses of an IPv6 site count as one', () => {
  const site = addressBlock('2001:db8:1:2:aaaa:bbbb:cccc:dddd');
  assert.equal(site, '2001:db8:1:2::/64');
  for (const same of ['2001:db8:1:2::1', '2001:0DB8:1:2:0:0:0:9', '2001:db8:1:2::'])
    assert.equal(addressBlock(same), site);
  assert.notEqual(addressBlock('2001:db8:1:3::1'), site);
  assert.equal(addressBlock('::1'), '0:0:0:0::/64');
  assert.equal(addressBlock('fe80::1%eth0'), 'fe80:0:0:0::/64');
});
