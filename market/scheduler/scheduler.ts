import type { ContractId, NodeId } from '../../ledger/ids.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import type { Host } from '../host/host.ts';
import type { HostLink, KeyValues, MarketLedger, MarketWallet, Receipt } from '../interfaces.ts';
import type { Contractor } from '../renter/contractor.ts';
import type { FileStore } from '../renter/file-store.ts';
import type { HostBook } from '../renter/host-book.ts';
import { SNAPSHOT } from '../renter/manifests.ts';
import { isExtensible, isRenewalDue } from '../renter/renewal.ts';
import { type AuditRecord, Audits } from './audits.ts';
import type { Job, JobQueue } from './queue.ts';
import { Settlements } from './settlements.ts';

/**
 * Turns the ledger into work. What is due is derived anew at every period turn, at start, and a few times in a period;
 * ids make it harmless to derive it twice.
 */

/** Contracts are cleaned after this part of the period. */
const CLEAN_AFTER = 0.6;
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
    const { ledger, files, now } = this.#options;
    const period = ledger.period();
    const jobs: (Job | undefined)[] = [];
    const job = (kind: Job['kind'], id: string, data: Job['data']): void => {
      jobs.push({ id: `${kind}/${id}`, kind, data, notBeforeMs: now() });
    };
    const renting = await ledger.contractsOf('renter');
    for (const { id, contract } of renting) {
      jobs.push(this.#audits.due(id, contract, period));
      const host = ledger.hostNodeOf(contract);
      const offer = ledger.offerOf(host);
      // One that cannot be renewed is left: its fragments count as lost to a repair.
      if (isRenewalDue(contract, period, offer) && isExtensible(contract, period, offer))
        job('renew', `${id}/${period}`, { host, period });
    }
    const hosting = await ledger.contractsOf('host');
    for (const { id, contract } of hosting) jobs.push(this.#settlements.due(id, contract, period));
    for await (const manifest of files.all()) {
      if (manifest.slabs.length > 0 && files.health(manifest).state !== 'healthy')
        job('repair', `${manifest.name === SNAPSHOT ? '' : manifest.name}/${period}`, {
          name: manifest.name,
        });
    }
    if (await files.isNoteDue()) job('note', `${period}`, {});
    // Late in the period: all that was removed in it goes in one revision, and is not paid from the next on.
    if (ledger.periodProgress() >= CLEAN_AFTER) job('clean', `${period}`, {});
    if (period % SWEEP_EVERY === 0) job('sweep', `${period}`, {});
    if (hosting.length > 0) job('scrub', `${period}`, {});
    for (const one of jobs) if (one !== undefined) await queue.add(one);
  }

  /** Does a job. Resolves to what was done, in words. */
  async run(job: Job, signal: AbortSignal): Promise<string> {
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
        return `${await files.clean()} fragments taken out of contracts`;
      case 'note':
        await files.goOnRecovering();
        return `${await files.saveNote()} hosts have the list of files`;
      case 'sweep':
        return `${await host.sweep()} fragments deleted`;
      case 'scrub': {
        const { checked, damaged } = await host.scrub(signal);
        return `${checked} fragments read again, ${damaged} damaged`;
      }
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
