import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { Position, Vote } from '../../ledger/consensus/votes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { type AccountId, type BlockId, type ChainId, type Hash, hashId } from '../../ledger/ids.ts';
import { MOCK_KEYS } from './keys.ts';

const CHAIN = 'cc'.repeat(32) as ChainId;
const ids = [0, 1, 2, 3].map(MOCK_KEYS.nodeId);
const seats = ids.map((nodeId, i) => ({
  seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
  nodeId,
  accountId: nodeId as string as AccountId,
}));
const committee = new Committee(CHAIN, 0, seats);
const [self, member, , stranger] = ids as [
  (typeof ids)[0],
  (typeof ids)[0],
  (typeof ids)[0],
  (typeof ids)[0],
];

function voteFor(block: string, signed: boolean): Vote {
  const position: Position = { view: 1, parentView: 0, height: 1, blockId: block.repeat(32) as BlockId };
  const signature = signed
    ? MOCK_KEYS.sign(member, committee.digest('notarize', 1, position))
    : new Uint8Array(64).fill(9);
  return { type: 'notarize', epoch: 0, view: 1, position, signer: member, signature };
}

test('a forged vote that would contradict a known one is blamed on who brings it, like any other forgery', () => {
  let verified = 0;
  const consensus = new Consensus({
    chainId: CHAIN,
    epoch: 0,
    seats,
    self: { nodeId: self, sign: (digest) => MOCK_KEYS.sign(self, digest) },
    final: { epoch: 0, view: 0, height: 0, id: '00'.repeat(32) as BlockId, certificate: undefined },
    records: [],
    nowMs: 0,
    salt: 0,
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
  const votes = new Map(
    ids
      .slice(0, 3)
      .map((id) => [
        committee.indexOf(id) as number,
        MOCK_KEYS.sign(id, committee.digest('nullify', 1, undefined)),
      ]),
  );
  const consensus = new Consensus({
    chainId: CHAIN,
    epoch: 0,
    seats,
    self: { nodeId: self, sign: (digest) => MOCK_KEYS.sign(self, digest) },
    final: { epoch: 0, view: 0, height: 0, id: '00'.repeat(32) as BlockId, certificate: undefined },
    records: [{ kind: 'certificate', certificate: committee.certificate('nullify', 1, undefined, votes) }],
    nowMs: 0,
    salt: 0,
    verifier: MOCK_KEYS.verifier,
  });
  const message = { kind: 'get-certificates', epoch: 0, views: Array(32).fill(1) } as const;
  const effects = consensus.step({ kind: 'message', from: stranger, message }, 1);
  assert.equal(effects.filter((effect) => effect.kind === 'send' && effect.to === stranger).length, 1);
});
