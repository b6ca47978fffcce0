import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { ConsensusEvent } from '../../ledger/consensus/events.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { type AccountId, type ChainId, type Hash, hashId, type NodeId } from '../../ledger/ids.ts';
import { Agenda } from './agenda.ts';
import { MOCK_KEYS } from './keys.ts';
import { ModelChain } from './model-chain.ts';
import { type Mutant, mutantClass } from './mutants.ts';

/**
 * Four members that all jumped over one of the nullified views, each over another: nobody can justify a proposal until
 * they ask each other for what they lack. Chance alone hardly ever does this to all of them at once.
 */

const CHAIN = 'cc'.repeat(32) as ChainId;
/** Node n lacks view n + 1; what let all of them into view 6 they have. */
const VIEWS = [1, 2, 3, 4, 5];

/** Whether a transaction becomes final within a virtual minute. */
function recovers(ConsensusClass: typeof Consensus): boolean {
  const ids = [0, 1, 2, 3].map(MOCK_KEYS.nodeId);
  const seats = ids.map((nodeId, i) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
    nodeId,
    accountId: nodeId as string as AccountId,
  }));
  const chain = new ModelChain(CHAIN, seats, 4, undefined);
  const committee = new Committee(CHAIN, 0, seats);
  const nullification = (view: number) => {
    const votes = new Map<number, Uint8Array>();
    for (const { nodeId } of seats.slice(0, 3))
      votes.set(
        committee.indexOf(nodeId) as number,
        MOCK_KEYS.sign(nodeId, committee.digest('nullify', view, undefined)),
      );
    return committee.certificate('nullify', view, undefined, votes);
  };
  const agenda = new Agenda();
  const nodes = new Map<NodeId, Consensus>();
  let final = false;
  const give = (id: NodeId, event: ConsensusEvent): void => {
    const consensus = nodes.get(id) as Consensus;
    const soon = (run: () => void): void => agenda.at(agenda.nowMs + 5, run);
    for (const effect of consensus.step(event, agenda.nowMs)) {
      if (effect.kind === 'send') {
        for (const to of effect.to === 'all' || effect.to === 'members' ? ids : [effect.to])
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
  for (const [i, nodeId] of ids.entries()) {
    const records = VIEWS.filter((view) => view !== i + 1).map((view) => ({
      kind: 'certificate' as const,
      certificate: nullification(view),
    }));
    nodes.set(
      nodeId,
      new ConsensusClass({
        chainId: CHAIN,
        epoch: 0,
        seats,
        self: { nodeId, sign: (digest) => MOCK_KEYS.sign(nodeId, digest) },
        final: { epoch: 0, view: 0, height: 0, id: chain.genesisId, certificate: undefined },
        records,
        nowMs: 0,
        salt: i,
        verifier: MOCK_KEYS.verifier,
      }),
    );
  }
  for (const id of ids) give(id, { kind: 'work', work: true });
  const tick = (): void => {
    for (const id of ids) give(id, { kind: 'tick' });
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
