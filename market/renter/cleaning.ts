import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import type { Slab } from '../files/manifest.ts';
import type { HostLink, MarketLedger } from '../interfaces.ts';
import { type Arrivals, nameOf } from './arrivals.ts';
import type { Contractor } from './contractor.ts';

export interface CleaningOptions {
  readonly ledger: MarketLedger;
  readonly link: Pick<HostLink, 'reachable'>;
  readonly contractor: Contractor;
  readonly arrivals: Arrivals;
  /** Those whose fragments are needed. */
  needed(): AsyncIterable<Slab>;
  /** Bytes got under a contract so far. */
  egressBytes(id: ContractId): number;
}

/**
 * Takes out of the contracts what no file needs: fragments of files that were removed, of places that a repair left, of
 * uploads that a crash cut off. What is garbage follows from the contracts and the manifests alone, so nothing stays paid
 * because somebody forgot to note it, and nothing that came back is taken for what it was before.
 * A contract with nothing in it is closed. Resolves to the number of fragments taken out. Hosts that cannot be reached wait for the next time.
 */
export function takeOutGarbage(options: CleaningOptions): Promise<number> {
  const { ledger, link, contractor, arrivals, needed, egressBytes } = options;
  return arrivals.watch(async () => {
    // The lists first: what is in them now, and wanted, is in a manifest or arriving.
    const kept: { readonly id: ContractId; readonly host: NodeId; readonly list: readonly Hash[] }[] = [];
    let failure: unknown;
    for (const { id, contract } of await ledger.contractsOf('renter')) {
      const host = ledger.hostNodeOf(contract);
      const period = ledger.period();
      if (!link.reachable(host) || period <= contract.startPeriod || period >= contract.endPeriod) continue;
      try {
        kept.push({ id, host, list: contractor.listOf(id, contract) });
      } catch (error) {
        failure ??= error;
      }
    }
    const wanted = new Set<string>();
    for await (const { fragments } of needed())
      for (const { host, root } of fragments) wanted.add(nameOf(host, root));
    // From here to the wishes nothing waits: what arrives later is added after it was taken out.
    const taking = kept.map(async ({ id, host, list }) => {
      const garbage = list.filter((root) => !wanted.has(nameOf(host, root)) && !arrivals.has(host, root));
      if (garbage.length > 0) await contractor.commit(host, [], garbage);
      else if (list.length === 0) await contractor.close(host, egressBytes(id));
      return garbage.length;
    });
    let count = 0;
    for (const outcome of await Promise.allSettled(taking)) {
      if (outcome.status === 'fulfilled') count += outcome.value;
      else failure ??= outcome.reason;
    }
    if (failure !== undefined) throw failure;
    return count;
  });
}
