import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Consensus } from '../../ledger/consensus/consensus.ts';
import type { Effect } from '../../ledger/consensus/events.ts';
import type { ConsensusMessage } from '../../ledger/consensus/messages.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { MOCK_KEYS } from './keys.ts';
import { ModelChain } from './model-chain.ts';
import { FOUR, FOUR_COMMITTEE, FOUR_SEATS, MODEL_CHAIN, oneOfFour } from './model-committee.ts';

/** Clocks that are set right while a node runs, or that were wrong when the newest block was made. */

const HOUR_MS = 3_600_000;
const LEADER = FOUR_COMMITTEE.leader(1);
const FOLLOWER = FOUR.find((id) => id !== LEADER) as NodeId;

function letVote(consensus: Consensus, self: NodeId, nowMs: number): void {
  const echo = { kind: 'echo', epoch: 0, votes: [], finalization: undefined, entry: undefined } as const;
  for (const from of FOUR.filter((id) => id !== self))
    consensus.step({ kind: 'message', from, message: echo }, nowMs);
  assert.equal(consensus.franchise, 'voting');
}

const votes = (effects: readonly Effect[]): string[] =>
  effects.flatMap((effect) =>
    effect.kind === 'append' && effect.record.kind === 'vote' ? [effect.record.vote.type] : [],
  );

test('a clock that is set back an hour holds up no time-out', () => {
  const consensus = oneOfFour(FOLLOWER, [], { nowMs: HOUR_MS });
  letVote(consensus, FOLLOWER, HOUR_MS);
  consensus.step({ kind: 'work', work: true }, HOUR_MS);
  assert.deepEqual(votes(consensus.step({ kind: 'tick' }, 0)), []);
  const wakeMs = consensus.nextWakeMs();
  assert(wakeMs !== undefined && wakeMs <= 1_000, `it sleeps until ${wakeMs}`);
  const cast: string[] = [];
  for (let nowMs = 0; nowMs <= 1_000; nowMs += 50)
    cast.push(...votes(consensus.step({ kind: 'tick' }, nowMs)));
  assert.deepEqual(cast, ['nullify']);
});

test('a ledger whose newest block is ahead of all clocks goes on; nobody brings it further ahead', () => {
  const chain = new ModelChain(MODEL_CHAIN, FOUR_SEATS, 4, undefined);
  const votesFor = (timestampMs: number): readonly string[] => {
    const id = chain.add(chain.genesisId, { proposer: LEADER, epoch: 0, view: 1, nowMs: timestampMs }, [1]);
    const { header } = chain.get(id).block;
    assert.equal(header.timestampMs, timestampMs);
    const genesis = { epoch: 0, view: 0, height: 0, id: chain.genesisId, certificate: undefined };
    const consensus = oneOfFour(FOLLOWER, [], { final: { ...genesis, timestampMs: HOUR_MS } });
    letVote(consensus, FOLLOWER, 0);
    const position = { view: 1, parentView: 0, height: 1, blockId: id };
    const signature = MOCK_KEYS.sign(LEADER, FOUR_COMMITTEE.digest('notarize', 1, position));
    const message: ConsensusMessage = {
      kind: 'proposal',
      epoch: 0,
      position,
      header,
      transactionIds: [],
      parentCertificate: undefined,
      nullifications: [],
      signature,
    };
    consensus.step({ kind: 'message', from: LEADER, message }, 0);
    const executed = { header, nextSeats: undefined };
    return votes(consensus.step({ kind: 'verdict', blockId: id, executed }, 0));
  };
  assert.deepEqual(votesFor(HOUR_MS + 1), ['notarize']);
  assert.deepEqual(votesFor(HOUR_MS + 2), []);
});
