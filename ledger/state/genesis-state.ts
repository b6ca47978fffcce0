import type { Genesis } from '../genesis.ts';
import { ZERO_GRAINS } from '../grains.ts';
import { type StateChanges, StateDraft } from './draft.ts';
import { CLOCK, COMMITTEES, EPOCH, SUPPLY } from './entities.ts';

/** The rows of height 0: no money, period 0, the first committee. */
export function genesisChanges(genesis: Genesis): StateChanges {
  const state = new StateDraft({ read: () => undefined });
  state.write(SUPPLY, 'supply', {
    claimedGrains: ZERO_GRAINS,
    escrowGrains: ZERO_GRAINS,
    collateralGrains: ZERO_GRAINS,
    burnedGrains: ZERO_GRAINS,
  });
  state.write(CLOCK, 'clock', {
    period: 0,
    periodStartedMs: genesis.timestampMs,
    liveContracts: 0,
    duePeriod: 0,
    dueIndex: 0,
  });
  state.write(EPOCH, 'epoch', { epoch: 0, startedMs: genesis.timestampMs });
  state.write(COMMITTEES, '0', { seats: genesis.committee });
  return state.changes();
}
