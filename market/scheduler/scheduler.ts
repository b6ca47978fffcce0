import type { ContractId, NodeId } from '../../ledger/ids.ts';
import { isEmptyAt } from '../../ledger/state/contract-due.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import type { Host } from '../host/host.ts';
import type { HostLink, KeyValues, MarketLedger, MarketWallet, Receipt } from '../interfaces.ts';
import { type Contractor, termOf } from '../renter/contractor.ts';
import type { FileStore } from '../renter/file-store.ts';
import type { HostBook } from '../renter/host-book.ts';
import { type AuditRecord, Audits } from './audits.ts';
import type { Job, JobQueue } from './queue.ts';
import { Settlements } from './settlements.ts';

/**
 * Turns the ledger into work. What is due is derived anew at every period turn, at start, and a few times in a period;
 * ids make it harmless to derive it twice.
 */

/** A contract is renewed when less than this part of its term is left. */
const RENEW_BELOW = 0.25;
const SWEEP_EVERY = 6;

export interface SchedulerOptions {
  readonly ledger: MarketLedger;
  readonly wallet: MarketWallet;
  readonly link: HostLink;
  readonly store: KeyValues;
  readonly host: Host;
  readonly files: FileStore;
  readonly contractor: Contractor;
  readonly book: HostBook;
  readonly accountSecret: Uint8Array;
  readonly periodMs: number;
  now(): number;
  onAudit(record: AuditRecord): void;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #audits: Audits;
  readonly #settlements: Settlements;
  #queue: JobQueue | undefined;

  constructor(options: SchedulerOptions) {
    this.#options = options;
    const add = async (job: Job): Promise<void> => this.#queue?.add(job);
    this.#audits = new Audits({ ...options, add });
    this.#settlements = new Settlements({ ...options, add });
  }

  /** Begins to derive jobs into `queue`, which runs them through `run`. */
  async open(queue: JobQueue): Promise<void> {
    this.#queue = queue;
    this.#audits.open();
    await this.derive();
  }

  /** Newest first. */
  audits(): readonly AuditRecord[] {
    return this.#audits.list();
  }

  /** Adds every job that is due now. */
  async derive(): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) return;
    const { ledger, store, files, now } = this.#options;
    const period = ledger.period();
    const jobs: (Job | undefined)[] = [];
    const job = (kind: Job['kind'], id: string, data: Job['data']): void => {
      jobs.push({ id: `${kind}/${id}`, kind, data, notBeforeMs: now() });
    };
    const renting = await ledger.contractsOf('renter');
    const offers = renting.length === 0 ? [] : await ledger.offers();
    const longest = new Map(offers.map(({ nodeId, offer }) => [nodeId, offer.periodsMax]));
    for (const { id, contract } of renting) {
      jobs.push(this.#audits.due(id, contract, period));
      const host = ledger.hostNodeOf(contract);
      const most = longest.get(host);
      if (most !== undefined && renewalDue(contract, period, most)) job('renew', `${id}/${period}`, { host });
    }
    for (const { id, contract } of await ledger.contractsOf('host'))
      jobs.push(this.#settlements.due(id, contract, period));
    for (const manifest of await files.list()) {
      if (manifest.slabs.length > 0 && files.health(manifest).state !== 'healthy')
        job('repair', `${manifest.name}/${period}`, { name: manifest.name });
    }
    if ((await store.range('garbage/')).length > 0) job('clean', `${period}`, {});
    if (period % SWEEP_EVERY === 0) job('sweep', `${period}`, {});
    for (const one of jobs) if (one !== undefined) await queue.add(one);
  }

  /** Does a job. Resolves to what was done, in words. */
  async run(job: Job): Promise<string> {
    const { files, contractor, host } = this.#options;
    switch (job.kind) {
      case 'audit':
        return this.#audits.run(job);
      case 'settle':
        return this.#settlements.run(job.data.contractId as ContractId);
      case 'repair':
        return `${await files.repair(job.data.name as string)} fragments moved`;
      case 'renew':
        await contractor.renew(job.data.host as NodeId);
        return 'renewed';
      case 'clean':
        return `${await files.collectGarbage()} fragments taken out of contracts`;
      case 'sweep':
        return `${await host.sweep()} fragments deleted`;
      default:
        return job.kind satisfies never;
    }
  }

  /** Takes a renter's receipt. Throws MarketError `contract-unknown` or `bad-terms`. */
  receive(receipt: Receipt): Promise<void> {
    return this.#settlements.receive(receipt);
  }

  /** A period of a contract in which this node rents was missed, says the ledger. */
  missed(contractId: ContractId, contract: StorageContract, period: number): Promise<void> {
    return this.#audits.missed(contractId, contract, period);
  }
}

/** Whether less of a term is left than a renewal should find. A contract that was renewed before is judged by one term, not by its age. */
function renewalDue(contract: StorageContract, period: number, periodsMax: number): boolean {
  if (contract.startPeriod > period || isEmptyAt(contract, period)) return false;
  const age = contract.endPeriod - contract.startPeriod + 1;
  return contract.endPeriod - period < Math.min(age, termOf(periodsMax)) * RENEW_BELOW;
}
