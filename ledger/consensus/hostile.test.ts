import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BlockHeader, blockIdOf } from '../block.ts';
import { concat, utf8 } from '../bytes.ts';
import { sha256 } from '../crypto/sha256.ts';
import { LedgerError } from '../errors.ts';
import {
  type AccountId,
  type BlockId,
  type ChainId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
  ZERO_HASH,
} from '../ids.ts';
import { Committee } from './committee.ts';
import { Consensus } from './consensus.ts';
import type { Effect } from './events.ts';
import { type ConsensusMessage, decodeMessage, encodeMessage } from './messages.ts';
import type { Certificate, Position, Vote, VoteType } from './votes.ts';

/** What a hostile peer may send: every kind of message, changed in every way, must neither throw nor move the node. */

const CHAIN = 'ab'.repeat(32) as ChainId;
const ids = [0, 1, 2, 3].map((n) => `02${hashId<Hash>(sha256(utf8(`member ${n}`)))}` as NodeId);
const stranger = `02${'ee'.repeat(32)}` as NodeId;
const seats = ids.map((nodeId, n) => ({
  seatId: hashId<Hash>(sha256(utf8(`seat ${n}`))),
  nodeId,
  accountId: nodeId as string as AccountId,
}));
const committee = new Committee(CHAIN, 3, seats);
const genesisId = '00'.repeat(32) as BlockId;

function mockSign(nodeId: NodeId, digest: Uint8Array): Uint8Array {
  const half = sha256(utf8('mock'), idBytes(nodeId), digest);
  return concat(half, half);
}
let verified = 0;
const verifier = (signature: Uint8Array, digest: Uint8Array, signer: NodeId): boolean => {
  verified++;
  return Buffer.compare(signature, mockSign(signer, digest)) === 0;
};

function node(): Consensus {
  return new Consensus({
    chainId: CHAIN,
    epoch: 3,
    seats,
    self: { nodeId: ids[0] as NodeId, sign: (digest) => mockSign(ids[0] as NodeId, digest) },
    final: { epoch: 3, view: 10, height: 10, id: genesisId, timestampMs: 0, certificate: undefined },
    records: [],
    nowMs: 0,
    salt: 0,
    verifier,
  });
}

function position(view: number): Position {
  return { view, parentView: 10, height: 11, blockId: 'aa'.repeat(32) as BlockId };
}
function vote(type: VoteType, view: number, signer = ids[1] as NodeId, of = committee): Vote {
  const at = type === 'nullify' ? undefined : position(view);
  const signature = mockSign(signer, of.digest(type, view, at));
  return { type, epoch: of.epoch, view, position: at, signer, signature };
}
function certificate(type: VoteType, view: number, of = committee, count = 3): Certificate {
  const at = type === 'nullify' ? undefined : position(view);
  const bitmap = new Uint8Array(1);
  const signatures = of.seats.slice(0, count).map(({ nodeId }, i) => {
    bitmap[0] = (bitmap[0] as number) | (0x80 >> i);
    return mockSign(nodeId, of.digest(type, view, at));
  });
  return { type, epoch: of.epoch, view, position: at, bitmap, signatures };
}
const header: BlockHeader = {
  chainId: CHAIN,
  epoch: 3,
  view: 11,
  height: 11,
  parentId: genesisId,
  timestampMs: 5,
  proposer: committee.leader(11),
  txRoot: ZERO_HASH,
  stateRoot: ZERO_HASH,
  nextCommitteeHash: ZERO_HASH,
};
function proposal(view = 11): ConsensusMessage {
  const at: Position = { view, parentView: 10, height: 11, blockId: blockIdOf(header) };
  const leader = committee.leader(view);
  return {
    kind: 'proposal',
    epoch: 3,
    position: at,
    header,
    transactionIds: [],
    parentCertificate: undefined,
    nullifications: [certificate('nullify', 11)],
    signature: mockSign(leader, committee.digest('notarize', view, at)),
  };
}
const KINDS: Record<string, ConsensusMessage> = {
  proposal: proposal(),
  vote: { kind: 'vote', vote: vote('notarize', 11) },
  nullify: { kind: 'vote', vote: vote('nullify', 11) },
  certificate: { kind: 'certificate', certificate: certificate('notarize', 11) },
  status: {
    kind: 'status',
    epoch: 3,
    finalView: 11,
    finalization: certificate('finalize', 11),
    entry: certificate('nullify', 12),
    recovering: true,
  },
  echo: {
    kind: 'echo',
    epoch: 3,
    votes: [vote('nullify', 11), vote('finalize', 12)],
    finalization: undefined,
    entry: certificate('nullify', 13),
  },
  'get-certificates': { kind: 'get-certificates', epoch: 3, views: [11, 12] },
};

const commits = (effects: readonly Effect[]): number =>
  effects.filter(({ kind }) => kind === 'commit').length;

for (const [name, message] of Object.entries(KINDS)) {
  test(`${name}: mutated bytes are refused as malformed or handled without harm`, () => {
    const bytes = encodeMessage(message);
    assert.deepEqual(encodeMessage(decodeMessage(bytes)), bytes);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.option(fc.nat(bytes.length)),
        (flips, cut) => {
          const mutated = Uint8Array.from(bytes.subarray(0, cut ?? bytes.length));
          for (const [at, mask] of flips)
            if (at < mutated.length) mutated[at] = (mutated[at] as number) ^ mask;
          let decoded: ConsensusMessage;
          try {
            decoded = decodeMessage(mutated);
          } catch (error) {
            assert(error instanceof LedgerError && error.code === 'malformed');
            return;
          }
          const consensus = node();
          const effects = consensus.step({ kind: 'message', from: ids[1] as NodeId, message: decoded }, 1);
          assert.equal(commits(effects), 0, 'nothing becomes final by a message alone');
          assert(consensus.view <= 14 && consensus.openViews <= 8);
          assert.equal(consensus.halted, false);
        },
      ),
      { numRuns: 400 },
    );
  });
}

test('random bytes are malformed, never another error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        assert(error instanceof LedgerError && error.code === 'malformed');
      }
    }),
    { numRuns: 2_000 },
  );
});

test('votes and certificates of strangers, other epochs, other committees, too few or far ahead move nothing', () => {
  const others = new Committee(CHAIN, 3, [
    ...seats.slice(1),
    { ...(seats[0] as (typeof seats)[0]), nodeId: stranger },
  ]);
  const later = new Committee(CHAIN, 4, seats);
  const wrong: ConsensusMessage[] = [
    { kind: 'vote', vote: vote('nullify', 11, stranger) },
    { kind: 'vote', vote: vote('nullify', 9) },
    { kind: 'vote', vote: vote('nullify', 500) },
    { kind: 'vote', vote: vote('nullify', 11, ids[1], later) },
    { kind: 'certificate', certificate: certificate('finalize', 11, others) },
    { kind: 'certificate', certificate: certificate('finalize', 11, later) },
    { kind: 'certificate', certificate: certificate('finalize', 11, committee, 2) },
    { kind: 'certificate', certificate: { ...certificate('finalize', 11), bitmap: Uint8Array.of(0xf0, 0) } },
    { kind: 'certificate', certificate: { ...certificate('finalize', 11), bitmap: Uint8Array.of(0xe8) } },
    {
      kind: 'certificate',
      certificate: { ...certificate('finalize', 11), signatures: certificate('notarize', 11).signatures },
    },
    { ...(proposal() as Extract<ConsensusMessage, { kind: 'proposal' }>), signature: new Uint8Array(64) },
    { ...(proposal() as Extract<ConsensusMessage, { kind: 'proposal' }>), header: { ...header, height: 12 } },
  ];
  for (const message of wrong) {
    const consensus = node();
    for (const event of [{ kind: 'work', work: true }, { kind: 'tick' }] as const) consensus.step(event, 1);
    const before = consensus.view;
    const effects = consensus.step({ kind: 'message', from: ids[1] as NodeId, message }, 2);
    assert.equal(consensus.view, before);
    assert.equal(consensus.tipId, genesisId);
    assert.equal(
      effects.filter(({ kind }) => kind === 'append' || kind === 'commit' || kind === 'execute').length,
      0,
    );
  }
});

test('an equivocating leader and a flood of one member cost a bounded number of verifications and slots', () => {
  const consensus = node();
  verified = 0;
  for (let n = 0; n < 5_000; n++) {
    const at: Position = {
      view: 12,
      parentView: 10,
      height: 11,
      blockId: hashId<BlockId>(sha256(utf8(`${n}`))),
    };
    const signature = mockSign(ids[1] as NodeId, committee.digest('notarize', 12, at));
    const message: ConsensusMessage = {
      kind: 'vote',
      vote: { type: 'notarize', epoch: 3, view: 12, position: at, signer: ids[1] as NodeId, signature },
    };
    consensus.step({ kind: 'message', from: ids[1] as NodeId, message }, 1);
  }
  assert(verified <= 4, `${verified} verifications`);
  assert(consensus.openViews <= 4);
});
