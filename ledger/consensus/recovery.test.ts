import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BlockHeader } from '../block.ts';
import { utf8 } from '../bytes.ts';
import { publicKeyOf, sign } from '../crypto/secp256k1.ts';
import { sha256 } from '../crypto/sha256.ts';
import { type AccountId, type BlockId, type ChainId, type Hash, hashId, keyId, type NodeId } from '../ids.ts';
import { Committee } from './committee.ts';
import { Consensus } from './consensus.ts';
import type { Effect } from './events.ts';
import type { ConsensusMessage } from './messages.ts';
import type { Position, Vote, VoteType } from './votes.ts';

const CHAIN = 'ab'.repeat(32) as ChainId;
const secrets = [0, 1, 2, 3].map((n) => sha256(utf8(`member ${n}`)));
const ids = secrets.map((secret) => keyId<NodeId>(publicKeyOf(secret)));
const [self, b, c, d] = ids as [NodeId, NodeId, NodeId, NodeId];
const seats = ids.map((nodeId, n) => ({
  seatId: hashId<Hash>(sha256(utf8(`seat ${n}`))),
  nodeId,
  accountId: nodeId as string as AccountId,
}));
const committee = new Committee(CHAIN, 0, seats);
const genesisId = '00'.repeat(32) as BlockId;

function vote(of: NodeId, type: VoteType, view: number, block?: string): Vote {
  const position: Position | undefined =
    block === undefined
      ? undefined
      : { view, parentView: 0, height: 1, blockId: block.repeat(32) as BlockId };
  const secret = secrets[ids.indexOf(of)] as Uint8Array;
  const signature = sign(committee.digest(type, view, position), secret);
  return { type, epoch: 0, view, position, signer: of, signature };
}

function start(records: readonly Vote[] = [], among = seats): Consensus {
  return new Consensus({
    chainId: CHAIN,
    epoch: 0,
    seats: among,
    self: { nodeId: self, sign: (digest) => sign(digest, secrets[0] as Uint8Array) },
    final: { epoch: 0, view: 0, height: 0, id: genesisId, timestampMs: 0, certificate: undefined },
    records: records.map((one) => ({ kind: 'vote', vote: one })),
    nowMs: 0,
    salt: 0,
  });
}

const echo = (votes: readonly Vote[] = []): ConsensusMessage => ({
  kind: 'echo',
  epoch: 0,
  votes,
  finalization: undefined,
  entry: undefined,
});

function votesCast(consensus: Consensus, untilMs: number): number {
  let cast = 0;
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 100) {
    for (const event of [{ kind: 'work', work: true }, { kind: 'tick' }] as const)
      cast += consensus.step(event, nowMs).filter((effect) => effect.kind === 'append').length;
  }
  return cast;
}

test('a member that starts does not vote before a quorum told it what they heard', () => {
  const consensus = start();
  assert.equal(votesCast(consensus, 10_000), 0);
  consensus.step({ kind: 'message', from: b, message: echo() }, 10_000);
  consensus.step({ kind: 'message', from: b, message: echo() }, 10_000);
  assert.equal(consensus.franchise, 'asking', 'one member twice is still one');
  const effects = consensus.step({ kind: 'message', from: c, message: echo() }, 10_000);
  assert.equal(consensus.franchise, 'voting');
  assert(
    effects.some((effect) => effect.kind === 'append'),
    'the view is long overdue',
  );
});

test('an echo of a vote that the log has changes nothing; of one that it lacks ends voting for the epoch', () => {
  const known = vote(self, 'nullify', 1);
  const remembered = start([known]);
  for (const from of [b, c]) remembered.step({ kind: 'message', from, message: echo([known]) }, 1);
  assert.equal(remembered.franchise, 'voting');

  for (const unknown of [
    vote(self, 'notarize', 1, 'aa'),
    vote(self, 'nullify', 2),
    vote(self, 'finalize', 40, 'bb'),
  ]) {
    const forgot = start([known]);
    const effects = forgot.step({ kind: 'message', from: d, message: echo([unknown]) }, 1);
    assert.equal(forgot.franchise, 'abstaining');
    assert(effects.some((effect) => effect.kind === 'abstain' && effect.epoch === 0));
    for (const from of [b, c]) forgot.step({ kind: 'message', from, message: echo() }, 2);
    assert.equal(forgot.franchise, 'abstaining', 'no answer gives the vote back');
    assert.equal(votesCast(forgot, 20_000), 0);
  }
});

test('a member that doubts its key says no vote, not even one of before, until a quorum has answered anew', () => {
  const consensus = start();
  for (const from of [b, c]) consensus.step({ kind: 'message', from, message: echo() }, 1);
  consensus.step({ kind: 'work', work: true }, 2);
  const late = consensus.step({ kind: 'tick' }, 10_000);
  const sync = late.find((effect) => effect.kind === 'sync');
  assert(sync?.kind === 'sync', 'a vote that waits for the disk');
  const said = (effects: readonly Effect[]): number =>
    effects.filter(
      (effect) =>
        effect.kind === 'append' ||
        (effect.kind === 'send' && ['vote', 'proposal'].includes(effect.message.kind)),
    ).length;
  const doubted = consensus.step({ kind: 'doubt', restMs: 5_000 }, 10_001);
  assert(
    doubted.some(
      ({ kind, ...effect }) =>
        kind === 'send' &&
        'message' in effect &&
        effect.message.kind === 'status' &&
        effect.message.recovering,
    ),
    'it asks at once',
  );
  assert.equal(said(consensus.step({ kind: 'synced', sequence: sync.sequence }, 10_002)), 0);
  const asked: ConsensusMessage = { kind: 'get-certificates', epoch: 0, views: [1] };
  assert.equal(said(consensus.step({ kind: 'message', from: d, message: asked }, 10_003)), 0);
  for (let nowMs = 10_100; nowMs < 15_000; nowMs += 100) {
    for (const from of [b, c, d])
      assert.equal(said(consensus.step({ kind: 'message', from, message: echo() }, nowMs)), 0);
    assert.equal(said(consensus.step({ kind: 'tick' }, nowMs)), 0);
  }
  consensus.step({ kind: 'doubt', restMs: 0 }, 15_100);
  assert.equal(consensus.franchise, 'asking');
  for (const from of [b, c]) consensus.step({ kind: 'message', from, message: echo() }, 15_200);
  assert.equal(consensus.franchise, 'voting');
  assert(said(consensus.step({ kind: 'tick' }, 30_000)) > 0, 'the vote of before is said again');
});

test('a member that doubts and hears of a vote of its own that it did not cast abstains', () => {
  const consensus = start();
  for (const from of [b, c]) consensus.step({ kind: 'message', from, message: echo() }, 1);
  assert.equal(consensus.franchise, 'voting');
  consensus.step({ kind: 'doubt', restMs: 0 }, 2);
  consensus.step({ kind: 'message', from: d, message: echo([vote(self, 'notarize', 1, 'aa')]) }, 3);
  assert.equal(consensus.franchise, 'abstaining');
  consensus.step({ kind: 'doubt', restMs: 0 }, 4);
  assert.equal(consensus.franchise, 'abstaining');
});

test('a committee of one that doubts its key goes on by itself after a while', () => {
  const alone = start([], seats.slice(0, 1));
  assert.equal(alone.franchise, 'voting');
  alone.step({ kind: 'doubt', restMs: 1_000 }, 1);
  alone.step({ kind: 'tick' }, 999);
  assert.equal(alone.franchise, 'asking');
  alone.step({ kind: 'tick' }, 1_001);
  assert.equal(alone.franchise, 'voting');
});

test('nobody silences a member with a vote that it did not sign', () => {
  const consensus = start();
  const forged = { ...vote(b, 'nullify', 3), signer: self };
  consensus.step({ kind: 'message', from: b, message: echo([forged]) }, 1);
  consensus.step({ kind: 'message', from: c, message: { kind: 'vote', vote: forged } }, 1);
  assert.notEqual(consensus.franchise, 'abstaining');
});

test('members tell one that starts which of its votes they know', () => {
  const consensus = start();
  consensus.step({ kind: 'message', from: b, message: { kind: 'vote', vote: vote(b, 'nullify', 1) } }, 1);
  const asked = {
    kind: 'status',
    epoch: 0,
    finalView: 0,
    finalization: undefined,
    entry: undefined,
  } as const;
  const effects = consensus.step({ kind: 'message', from: b, message: { ...asked, recovering: true } }, 2);
  const answer = effects.find((effect) => effect.kind === 'send' && effect.message.kind === 'echo');
  assert(answer?.kind === 'send' && answer.to === b && answer.message.kind === 'echo');
  assert.deepEqual(
    answer.message.votes.map(({ type, view, signer }) => ({ type, view, signer })),
    [{ type: 'nullify', view: 1, signer: b }],
  );
});

test('a member whose ledger was lost votes on in a later epoch by what its log held of it', () => {
  const next = new Committee(CHAIN, 1, seats);
  const digest = next.digest('nullify', 1, undefined);
  const [secret] = secrets as [Uint8Array];
  const cast: Vote = {
    type: 'nullify',
    epoch: 1,
    view: 1,
    position: undefined,
    signer: self,
    signature: sign(digest, secret),
  };
  const consensus = start([cast]);
  const { position } = vote(b, 'finalize', 1, 'aa');
  const votes = new Map(
    [b, c, d].map((of) => [committee.indexOf(of) as number, vote(of, 'finalize', 1, 'aa').signature]),
  );
  const certificate = committee.certificate('finalize', 1, position, votes);
  consensus.step({ kind: 'message', from: b, message: { kind: 'certificate', certificate } }, 1);
  const blockId = 'aa'.repeat(32) as BlockId;
  const header = {} as BlockHeader;
  consensus.step({ kind: 'verdict', blockId, executed: { header, nextSeats: seats } }, 2);
  assert.equal(consensus.committee.epoch, 1);
  for (const from of [b, c])
    consensus.step({ kind: 'message', from, message: { ...echo([cast]), epoch: 1 } as ConsensusMessage }, 3);
  assert.equal(consensus.franchise, 'voting');
});
