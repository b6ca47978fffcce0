import type { LedgerEvent } from '../ledger/state/events.ts';
import type { Host } from './host/host.ts';
import type { MarketLedger } from './interfaces.ts';
import type { Scheduler } from './scheduler/scheduler.ts';

export interface FollowerOptions {
  readonly ledger: MarketLedger;
  readonly host: Pick<Host, 'adopt' | 'forget'>;
  readonly scheduler: Pick<Scheduler, 'derive' | 'missed'>;
  onError(error: unknown): void;
}

/**
 * Tells the host what became final of its contracts, in order, and the scheduler when the period turned and when a host of
 * this renter missed one. Takes the events of blocks as they become final; a call resolves when what it told was taken up.
 */
export function contractFollower({
  ledger,
  host,
  scheduler,
  onError,
}: FollowerOptions): (events: readonly LedgerEvent[]) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (events) => {
    const work: (() => Promise<void>)[] = [];
    // What ended with these events is not in the ledger any more.
    const ended = new Map(
      events.flatMap((event) =>
        event.kind === 'contract-ended' ? [[event.contractId, event.contract] as const] : [],
      ),
    );
    for (const event of events) {
      switch (event.kind) {
        case 'contract-opened':
        case 'contract-revised':
          if (event.contract.hostAccountId === ledger.accountId)
            work.push(() => host.adopt(event.contractId, event.contract));
          break;
        case 'contract-ended':
          if (event.contract.hostAccountId === ledger.accountId)
            work.push(() => host.forget(event.contractId));
          break;
        case 'period-missed': {
          const { contractId, period } = event;
          const contract = ledger.contract(contractId) ?? ended.get(contractId);
          if (contract?.renterId === ledger.accountId)
            work.push(() => scheduler.missed(contractId, contract, period));
          break;
        }
      }
    }
    if (events.some(({ kind }) => kind === 'period')) work.push(() => scheduler.derive());
    for (const one of work) last = last.then(one).catch(onError);
    return last;
  };
}
