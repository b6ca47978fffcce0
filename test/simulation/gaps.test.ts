import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent } from '../../ledger/consensus/events.ts';
import type { NodeId } from '../../ledger/ids.ts';
import { Agenda } from './agenda.ts';
import { ModelChain } from './model-chain.ts';
import { FOUR, FOUR_SEATS, MODEL_CHAIN, oneOfFour } from './model-committee.ts';
import { type Mutant, mutantClass } from './mutants.ts';

/**
 * Four members that all jumped over one of the nullified views, each over another: nobody can justify a proposal until
 * they ask each other for what they lack. Chance alone hardly ever does this to all of them at once.
 */

/** Node n lacks view n + 1; what let all of them into view 6 they have. */
const VIEWS = [1, 2, 3, 4, 5];

/** Whether a transaction becomes final within a virtual minute. */
function recovers(ConsensusClass: typeof Consensus): boolean {
  const chain = new ModelChain(MODEL_CHAIN, FOUR_SEATS, 4, undefined);
  const agenda = new Agenda();
  const nodes = new Map<NodeId, Consensus>();
  let final = false;
  const give = (id: NodeId, event: ConsensusEvent): void => {
    const consensus = nodes.get(id) as Consensus;
    const soon = (run: () => void): void => agenda.at(agenda.nowMs + 5, run);
    for (const effect of consensus.step(event, agenda.nowMs)) {
      if (effect.kind === 'send') {
        for (const to of effect.to === 'all' || effect.to === 'members' ? FOUR : [effect.to])
          if (to !== id) soon(() => give(to, { kind: 'message', from: id, message: effect.message }));
      } else if (effect.kind === 'sync') soon(() => give(id, { kind: 'synced', sequence: effect.sequence }));
      else if (effect.kind === 'build')
        soon(() => {
          const at = { proposer: id, epoch: 0, view: effect.view, nowMs: agenda.nowMs };
          const { block } = chain.get(chain.add(effect.parentId, at, [1]));
          give(id, {
            kind: 'built',
            view: effect.view,
            built: { block, transactionIds: [], nextSeats: undefined },
          });
        });
      else if (effect.kind === 'execute')
        soon(() => {
          const executed = { header: chain.header(effect.blockId), nextSeats: undefined };
          give(id, { kind: 'verdict', blockId: effect.blockId, executed });
        });
      else if (effect.kind === 'commit') final = true;
    }
  };
  for (const [i, nodeId] of FOUR.entries()) {
    const views = VIEWS.filter((view) => view !== i + 1);
    nodes.set(nodeId, oneOfFour(nodeId, views, { genesisId: chain.genesisId }, ConsensusClass));
  }
  for (const id of FOUR) give(id, { kind: 'work', work: true });
  const tick = (): void => {
    for (const id of FOUR) give(id, { kind: 'tick' });
    if (agenda.nowMs < 60_000) agenda.at(agenda.nowMs + 50, tick);
  };
  tick();
  while (!final && agenda.nowMs < 60_000 && agenda.step());
  return final;
}

test('members that lack different certificates get them from each other', () => {
  assert.equal(recovers(Consensus), true);
});

test('and without gap repair never would', async () => {
  const mutant: Mutant = {
    name: 'no gap repair',
    patch: { file: 'consensus.ts', find: /repairGaps\(state\);/, replace: '' },
  };
  const { consensus, remove } = await mutantClass(mutant);
  assert.equal(recovers(consensus), false);
  remove();
});
