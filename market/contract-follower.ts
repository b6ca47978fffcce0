import type { AccountId } from '../ledger/ids.ts';
import type { LedgerEvent } from '../ledger/state/events.ts';
import type { Host } from './host/host.ts';
import type { Scheduler } from './scheduler/scheduler.ts';

export interface FollowerOptions {
  readonly accountId: AccountId;
  readonly host: Pick<Host, 'adopt' | 'forget'>;
  readonly scheduler: Pick<Scheduler, 'derive'>;
  onError(error: unknown): void;
}

/**
 * Tells the host what became final of its contracts, in order, and the scheduler when the period turned. Takes the events
 * of blocks as they become final; each call resolves when what it told was taken up.
 */
export function contractFollower({
  accountId,
  host,
  scheduler,
  onError,
}: FollowerOptions): (events: readonly LedgerEvent[]) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (events) => {
    const work: (() => Promise<void>)[] = [];
    for (const event of events) {
      switch (event.kind) {
        case 'contract-opened':
        case 'contract-revised':
          if (event.contract.hostAccountId === accountId)
            work.push(() => host.adopt(event.contractId, event.contract));
          break;
        case 'contract-ended':
          if (event.contract.hostAccountId === accountId) work.push(() => host.forget(event.contractId));
          break;
      }
    }
    if (events.some(({ kind }) => kind === 'period')) work.push(() => scheduler.derive());
    for (const one of work) last = last.then(one).catch(onError);
    return last;
  };
}
