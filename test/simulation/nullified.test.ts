import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import { Consensus } from '../../ledger/consensus/consensus.ts';
import type { Effect } from '../../ledger/consensus/events.ts';
import { encodeMessage } from '../../ledger/consensus/messages.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { type AccountId, type ChainId, type Hash, hashId } from '../../ledger/ids.ts';
import { MOCK_KEYS } from './keys.ts';
import { ModelChain } from './model-chain.ts';

const CHAIN = 'cc'.repeat(32) as ChainId;

test('after more nullified views than a proposal carries, a leader still says something that can be encoded', () => {
  const ids = [0, 1, 2, 3].map(MOCK_KEYS.nodeId);
  const seats = ids.map((nodeId, i) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${i}`))),
    nodeId,
    accountId: nodeId as string as AccountId,
  }));
  const chain = new ModelChain(CHAIN, seats, 4, undefined);
  const committee = new Committee(CHAIN, 0, seats);
  // The first view after at least 65 nullified ones.
  const last = 66;
  const leader = committee.leader(last + 1);
  const records = Array.from({ length: last }, (_, i) => {
    const votes = new Map(
      ids
        .slice(0, 3)
        .map((id) => [
          committee.indexOf(id) as number,
          MOCK_KEYS.sign(id, committee.digest('nullify', i + 1, undefined)),
        ]),
    );
    return {
      kind: 'certificate' as const,
      certificate: committee.certificate('nullify', i + 1, undefined, votes),
    };
  });
  const consensus = new Consensus({
    chainId: CHAIN,
    epoch: 0,
    seats,
    self: { nodeId: leader, sign: (digest) => MOCK_KEYS.sign(leader, digest) },
    final: { epoch: 0, view: 0, height: 0, id: chain.genesisId, certificate: undefined },
    records,
    nowMs: 0,
    salt: 0,
    verifier: MOCK_KEYS.verifier,
  });
  const others = ids.filter((id) => id !== leader);
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
