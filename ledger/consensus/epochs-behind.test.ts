import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../bytes.ts';
import { publicKeyOf } from '../crypto/secp256k1.ts';
import { sha256 } from '../crypto/sha256.ts';
import { type AccountId, type BlockId, type ChainId, type Hash, hashId, keyId, type NodeId } from '../ids.ts';
import { Consensus } from './consensus.ts';
import { EPOCH_REPLY_MS } from './timing.ts';

const EPOCH = 9;
const id = (name: string) => keyId<NodeId>(publicKeyOf(sha256(utf8(name))));
const member = id('member');

function observer(): Consensus {
  return new Consensus({
    chainId: 'ab'.repeat(32) as ChainId,
    epoch: EPOCH,
    seats: [
      {
        seatId: hashId<Hash>(sha256(utf8('seat'))),
        nodeId: member,
        accountId: member as string as AccountId,
      },
    ],
    self: undefined,
    final: {
      epoch: EPOCH,
      view: 1,
      height: 100,
      id: '11'.repeat(32) as BlockId,
      timestampMs: 0,
      certificate: undefined,
    },
    records: [],
    nowMs: 0,
    salt: 0,
  });
}

test('who follows from epoch to epoch is answered at once; who stays where it is, now and then', () => {
  const consensus = observer();
  const late = id('late');
  const answers = (epoch: number, nowMs: number): readonly number[] =>
    consensus
      .step(
        {
          kind: 'message',
          from: late,
          message: {
            kind: 'status',
            epoch,
            finalView: 0,
            finalization: undefined,
            entry: undefined,
            recovering: false,
          },
        },
        nowMs,
      )
      .flatMap((effect) => (effect.kind === 'send-boundary' && effect.to === late ? [effect.epoch] : []));
  for (let epoch = 2; epoch < EPOCH; epoch++) assert.deepEqual(answers(epoch, 10), [epoch]);
  assert.deepEqual(answers(EPOCH - 1, 11), [], 'the same again');
  assert.deepEqual(answers(2, 12), [], 'from the start again');
  assert.deepEqual(answers(2, 10 + EPOCH_REPLY_MS), [2]);
});
