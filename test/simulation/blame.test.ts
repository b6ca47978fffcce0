import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Position, Vote } from '../../ledger/consensus/votes.ts';
import type { BlockId } from '../../ledger/ids.ts';
import { MOCK_KEYS } from './keys.ts';
import { FOUR, FOUR_COMMITTEE, oneOfFour } from './model-committee.ts';

const [self, member, , stranger] = FOUR;

function voteFor(block: string, signed: boolean): Vote {
  const position: Position = { view: 1, parentView: 0, height: 1, blockId: block.repeat(32) as BlockId };
  const signature = signed
    ? MOCK_KEYS.sign(member, FOUR_COMMITTEE.digest('notarize', 1, position))
    : new Uint8Array(64).fill(9);
  return { type: 'notarize', epoch: 0, view: 1, position, signer: member, signature };
}

test('a forged vote that would contradict a known one is blamed on who brings it, like any other forgery', () => {
  let verified = 0;
  const consensus = oneOfFour(self, [], {
    verifier: (...args) => {
      verified++;
      return MOCK_KEYS.verifier(...args);
    },
  });
  const say = (vote: Vote) =>
    consensus.step({ kind: 'message', from: stranger, message: { kind: 'vote', vote } }, 1);
  say(voteFor('aa', true));
  verified = 0;
  const effects = Array.from({ length: 100 }, () => say(voteFor('bb', false))).flat();
  assert.equal(verified, 100);
  assert(
    effects.some((effect) => effect.kind === 'blame' && effect.peer === stranger),
    'nobody is blamed for a hundred forgeries',
  );
});

test('a request for certificates is answered once a view', () => {
  const consensus = oneOfFour(self, [1]);
  const message = { kind: 'get-certificates', epoch: 0, views: Array(32).fill(1) } as const;
  const effects = consensus.step({ kind: 'message', from: stranger, message }, 1);
  assert.equal(effects.filter((effect) => effect.kind === 'send' && effect.to === stranger).length, 1);
});
