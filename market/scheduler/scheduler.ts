import { randomInt } from 'node:crypto';
import { toHex } from '../../ledger/bytes.ts';
import { sign, verify } from '../../ledger/crypto/secp256k1.ts';
import { type ContractId, type Hash, idBytes, type NodeId } from '../../ledger/ids.ts';
import { leafHash, verifyMerkleProof } from '../../ledger/merkle.ts';
import { isEmptyAt } from '../../ledger/state/contract-due.ts';
import { challengeLeaves, rootAt } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import { type LeafProof, type PeriodProof, receiptDigest } from '../../ledger/transaction.ts';
import { MarketError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import {
  type HostLink,
  jsonValue,
  type KeyValues,
  type MarketLedger,
  type MarketWallet,
  type Receipt,
  readJson,
} from '../interfaces.ts';
import type { Contractor } from '../renter/contractor.ts';
import { type FileStore, SILENT_AUDITS } from '../renter/file-store.ts';
import type { HostBook } from '../renter/host-book.ts';
import type { Job, JobQueue } from './queue.ts';

/**
 * Turns the ledger into work. What is due is derived anew at every period turn, at start, and a few times in a period;
 * ids make it harmless to derive it twice.
 */

const LEAVES_PER_AUDIT = 4;
/** Tries of an audit in its period, as parts of the period. */
const AUDIT_TRIES = [0, 0.4, 0.75];
/** Periods without a receipt are proven on the ledger after this part of the next period. */
const PROVE_AFTER = 0.5;
/** A contract is renewed when less than this part of its life is left. */
const RENEW_BELOW = 0.25;
const SWEEP_EVERY = 6;
const AUDITS_KEPT = 1_000;

/** One audit, as the renter saw it. */
export interface AuditRecord {
  readonly contractId: ContractId;
  readonly host: NodeId;
  readonly period: number;
  readonly atMs: number;
  readonly ok: boolean;
  readonly latencyMs: number;
  readonly reason: string | undefined;
}

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
  #queue: JobQueue | undefined;
  #audits: AuditRecord[] = [];
  #settling = new Set<ContractId>();

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  /** Begins to derive jobs into `queue`, which runs them through `run`. */
  async open(queue: JobQueue): Promise<void> {
    this.#queue = queue;
    this.#audits = readJson<AuditRecord[]>(this.#options.store, 'audits') ?? [];
    await this.derive();
  }

  /** Newest first. */
  audits(): readonly AuditRecord[] {
    return [...this.#audits].reverse();
  }

  /** Adds every job that is due now. */
  async derive(): Promise<void> {
    const queue = this.#queue;
    if (queue === undefined) return;
    const { ledger, store } = this.#options;
    const period = ledger.period();
    const jobs: Job[] = [];
    const nowMs = this.#options.now();
    const job = (kind: Job['kind'], id: string, data: Job['data'], delay = 0): void => {
      jobs.push({ id: `${kind}/${id}`, kind, data, notBeforeMs: nowMs + delay * this.#options.periodMs });
    };
    const renting = await ledger.contractsOf('renter');
    for (const { id, contract } of renting) {
      if (contract.startPeriod > period || isEmptyAt(contract, period) || contract.nextPeriod > period)
        continue;
      job('audit', `${id}/${period}`, { contractId: id, period }, Math.random() * 0.1);
      const life = contract.endPeriod - contract.startPeriod + 1;
      if (contract.endPeriod - period < life * RENEW_BELOW)
        job('renew', `${id}/${period}`, { host: ledger.hostNodeOf(contract) });
    }
    for (const { id, contract } of await ledger.contractsOf('host')) {
      if (this.#settleDue(id, contract, period))
        job(
          'settle',
          `${id}/${contract.nextPeriod}/${period}/${this.#receipt(id) === undefined ? 'p' : 'r'}`,
          { contractId: id },
        );
    }
    for (const manifest of await this.#options.files.list()) {
      if (manifest.slabs.length > 0 && this.#options.files.health(manifest).state !== 'healthy')
        job('repair', `${manifest.name}/${period}`, { name: manifest.name });
    }
    if ((await store.range('garbage/')).length > 0) job('clean', `${period}`, {});
    if (period % SWEEP_EVERY === 0) job('sweep', `${period}`, {});
    for (const one of jobs) await queue.add(one);
  }

  #settleDue(id: ContractId, contract: StorageContract, period: number): boolean {
    const receipt = this.#receipt(id);
    if (
      receipt !== undefined &&
      (receipt.throughPeriod >= contract.nextPeriod || receipt.egressBytes > contract.egressBytes)
    )
      return true;
    const oldest = contract.nextPeriod;
    return (
      oldest < period &&
      oldest <= contract.endPeriod &&
      (oldest < period - 1 || this.#options.ledger.periodProgress() > PROVE_AFTER)
    );
  }

  /** Does a job. Resolves to what was done, in words. */
  async run(job: Job): Promise<string> {
    switch (job.kind) {
      case 'audit':
        return this.#audit(job.data.contractId as ContractId, job.data.period as number);
      case 'settle':
        return this.#settle(job.data.contractId as ContractId);
      case 'repair':
        return `${await this.#options.files.repair(job.data.name as string)} fragments moved`;
      case 'renew':
        await this.#options.contractor.renew(job.data.host as NodeId);
        return 'renewed';
      case 'clean':
        return `${await this.#options.files.collectGarbage()} fragments taken out of contracts`;
      case 'sweep':
        return `${await this.#options.host.sweep()} fragments deleted`;
      default:
        return job.kind satisfies never;
    }
  }

  // ---- renter: audits and receipts

  async #audit(contractId: ContractId, period: number): Promise<string> {
    const { ledger, book } = this.#options;
    let failure: { why: 'lied' | 'lost-data' | 'silent'; reason: string } = {
      why: 'silent',
      reason: 'not asked',
    };
    const startedMs = this.#options.now();
    for (const part of AUDIT_TRIES) {
      const waitMs = startedMs + part * this.#options.periodMs - this.#options.now();
      if (waitMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, waitMs).unref());
      const contract = ledger.contract(contractId);
      if (contract === undefined) return 'the contract is over';
      if (contract.nextPeriod > period) return 'settled already';
      if (ledger.period() > period) break;
      const host = ledger.hostNodeOf(contract);
      const askedMs = this.#options.now();
      try {
        await this.#challenge(host, contractId, contract, period);
        const latencyMs = this.#options.now() - askedMs;
        await book.audited(host, true, latencyMs, undefined);
        await this.#record({
          contractId,
          host,
          period,
          atMs: this.#options.now(),
          ok: true,
          latencyMs,
          reason: undefined,
        });
        await this.#giveReceipt(host, contractId, contract, period);
        return `kept; answered in ${latencyMs} ms`;
      } catch (error) {
        const { code, remoteCode } = error as { code?: string; remoteCode?: string };
        const why =
          code === 'damaged'
            ? 'lied'
            : remoteCode === 'not-found' || remoteCode === 'bad-range'
              ? 'lost-data'
              : 'silent';
        failure = { why, reason: (error as Error).message };
        if (why !== 'silent') break;
      }
    }
    const contract = ledger.contract(contractId);
    if (contract === undefined) return 'the contract is over';
    const host = ledger.hostNodeOf(contract);
    const notes = await book.audited(
      host,
      false,
      0,
      failure.why === 'silent' && book.notes(host).failedInARow + 1 < SILENT_AUDITS ? undefined : failure.why,
    );
    await this.#record({
      contractId,
      host,
      period,
      atMs: this.#options.now(),
      ok: false,
      latencyMs: 0,
      reason: failure.reason,
    });
    throw new MarketError(
      'not-found',
      `the host failed its audit (${notes.failedInARow} in a row): ${failure.reason}`,
    );
  }

  async #challenge(
    host: NodeId,
    contractId: ContractId,
    contract: StorageContract,
    period: number,
  ): Promise<void> {
    const inForce = rootAt(contract, period);
    if (inForce === undefined) return;
    const { root, leafCount, revision } = inForce;
    const leaves = Array.from({ length: LEAVES_PER_AUDIT }, () => randomInt(leafCount));
    const proofs = await this.#options.link.challenge(host, contractId, revision, leaves);
    const good =
      proofs.length === leaves.length &&
      proofs.every((proof, i) => holds(proof, root, leaves[i] as number, leafCount));
    if (!good) throw new MarketError('damaged', 'the host answered with data that is not in the contract');
  }

  async #record(record: AuditRecord): Promise<void> {
    this.#audits.push(record);
    if (this.#audits.length > AUDITS_KEPT) this.#audits.splice(0, this.#audits.length - AUDITS_KEPT);
    this.#options.onAudit(record);
    await this.#options.store.write([{ key: 'audits', value: jsonValue(this.#audits) }]);
  }

  async #giveReceipt(
    host: NodeId,
    contractId: ContractId,
    contract: StorageContract,
    throughPeriod: number,
  ): Promise<void> {
    const { ledger, link, files, accountSecret } = this.#options;
    const revision = rootAt(contract, throughPeriod)?.revision ?? 0;
    const egressBytes = Math.max(contract.egressBytes, await files.egressBytes(contractId));
    const body = { contractId, throughPeriod, revision, egressBytes };
    await link.deliverReceipt(host, {
      ...body,
      renterSignature: sign(receiptDigest(ledger.chainId, body), accountSecret),
    });
  }

  // ---- host: receipts and settlements

  #receipt(id: ContractId): Receipt | undefined {
    const stored = readJson<Omit<Receipt, 'renterSignature'> & { renterSignature: string }>(
      this.#options.store,
      `receipt/${id}`,
    );
    return (
      stored && { ...stored, renterSignature: new Uint8Array(Buffer.from(stored.renterSignature, 'hex')) }
    );
  }

  /** Takes a renter's receipt, when it is one and says more than the last. Throws MarketError `bad-terms`. */
  async receive(receipt: Receipt): Promise<void> {
    const { ledger, store } = this.#options;
    const contract = ledger.contract(receipt.contractId);
    if (contract === undefined || contract.hostAccountId !== ledger.accountId)
      throw new MarketError('contract-unknown', 'there is no such live contract here');
    if (
      !verify(receipt.renterSignature, receiptDigest(ledger.chainId, receipt), idBytes(contract.renterId))
    ) {
      throw new MarketError('bad-terms', 'the renter must sign the receipt');
    }
    // What the ledger would refuse must not stand in the way of proofs.
    const inForce = rootAt(contract, receipt.throughPeriod)?.revision ?? 0;
    if (receipt.revision > contract.revision || receipt.revision < inForce)
      throw new MarketError(
        'bad-terms',
        `expected a receipt for revision ${inForce} to ${contract.revision}`,
      );
    const before = this.#receipt(receipt.contractId);
    if (
      before !== undefined &&
      before.throughPeriod >= receipt.throughPeriod &&
      before.egressBytes >= receipt.egressBytes
    )
      return;
    await store.write([
      {
        key: `receipt/${receipt.contractId}`,
        value: jsonValue({ ...receipt, renterSignature: toHex(receipt.renterSignature) }),
      },
    ]);
    await this.derive();
  }

  async #settle(contractId: ContractId): Promise<string> {
    const { ledger, wallet } = this.#options;
    const contract = ledger.contract(contractId);
    if (contract === undefined) return 'the contract is over';
    if (this.#settling.has(contractId)) return 'is being settled';
    this.#settling.add(contractId);
    try {
      const receipt = this.#receipt(contractId);
      const most = Math.min(ledger.period(), contract.endPeriod);
      if (
        receipt !== undefined &&
        receipt.throughPeriod <= most &&
        (receipt.throughPeriod >= contract.nextPeriod || receipt.egressBytes > contract.egressBytes)
      ) {
        const { throughPeriod, revision, egressBytes, renterSignature } = receipt;
        await wallet.submit({
          kind: 'storage.settle',
          contractId,
          throughPeriod,
          evidence: { kind: 'receipt', revision, egressBytes, renterSignature },
        });
        return `paid by receipt through period ${throughPeriod}`;
      }
      const through = Math.min(ledger.period() - 1, contract.endPeriod);
      if (through < contract.nextPeriod) return 'nothing is due';
      const periods = await this.#proofs(contractId, contract, through);
      await wallet.submit({
        kind: 'storage.settle',
        contractId,
        throughPeriod: through,
        evidence: { kind: 'proofs', periods },
      });
      return `paid by proofs through period ${through}`;
    } finally {
      this.#settling.delete(contractId);
    }
  }

  async #proofs(
    contractId: ContractId,
    contract: StorageContract,
    through: number,
  ): Promise<readonly PeriodProof[]> {
    const { ledger, host } = this.#options;
    const proofs: PeriodProof[] = [];
    const first = Math.max(contract.nextPeriod, ledger.period() - ledger.parameters.proofWindow);
    for (let period = first; period <= through; period++) {
      const beacon = ledger.beacon(period);
      const root = rootAt(contract, period);
      if (beacon === undefined || root === undefined || root.leafCount === 0) continue;
      const leaves = challengeLeaves(
        beacon,
        contractId,
        root.leafCount,
        ledger.parameters.challengesPerPeriod,
      );
      proofs.push({ period, leaves: await host.prove(contractId, root.revision, leaves) });
    }
    return proofs;
  }
}

function holds({ leaf, path }: LeafProof, root: Hash, index: number, leafCount: number): boolean {
  return verifyMerkleProof({
    root: idBytes(root),
    leafHash: leafHash(leaf),
    index,
    leafCount,
    path: path.map(idBytes),
  });
}
