import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Effect } from '../../ledger/consensus/events.ts';
import { encodeMessage } from '../../ledger/consensus/messages.ts';
import { ModelChain } from './model-chain.ts';
import { FOUR, FOUR_COMMITTEE, FOUR_SEATS, MODEL_CHAIN, oneOfFour } from './model-committee.ts';

test('after more nullified views than a proposal carries, a leader still says something that can be encoded', () => {
  const chain = new ModelChain(MODEL_CHAIN, FOUR_SEATS, 4, undefined);
  // The first view after at least 65 nullified ones.
  const last = 66;
  const leader = FOUR_COMMITTEE.leader(last + 1);
  const views = Array.from({ length: last }, (_, i) => i + 1);
  const consensus = oneOfFour(leader, views, { genesisId: chain.genesisId });
  const others = FOUR.filter((id) => id !== leader);
  const echo = { kind: 'echo', epoch: 0, votes: [], finalization: undefined, entry: undefined } as const;
  for (const from of others) consensus.step({ kind: 'message', from, message: echo }, 0);
  assert.equal(consensus.franchise, 'voting');
  const effects: Effect[] = [...consensus.step({ kind: 'work', work: true }, 1)];
  const build = effects.find((effect) => effect.kind === 'build');
  assert(build?.kind === 'build');
  const id = chain.add(build.parentId, { proposer: leader, epoch: 0, view: build.view, nowMs: 1 }, [1]);
  const { block } = chain.get(id);
  const built = { block, transactionIds: [], nextSeats: undefined };
  const after = consensus.step({ kind: 'built', view: build.view, built }, 2);
  const sync = after.find((effect) => effect.kind === 'sync');
  assert(sync?.kind === 'sync');
  const said = consensus.step({ kind: 'synced', sequence: sync.sequence }, 3);
  const sends = said.filter((effect) => effect.kind === 'send');
  assert(sends.some((effect) => effect.message.kind === 'proposal'));
  for (const effect of sends) encodeMessage(effect.message);
});
