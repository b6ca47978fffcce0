import { randomInt } from 'node:crypto';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { type ContractId, type Hash, idBytes, type NodeId } from '../../ledger/ids.ts';
import { leafHash, verifyMerkleProof } from '../../ledger/merkle.ts';
import { isEmptyAt } from '../../ledger/state/contract-due.ts';
import { rootAt } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import { type LeafProof, receiptDigest } from '../../ledger/storage-formats.ts';
import { codeOf, MarketError } from '../errors.ts';
import { type HostLink, jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import type { FileStore } from '../renter/file-store.ts';
import type { HostBook, HostFault } from '../renter/host-book.ts';
import type { Job } from './queue.ts';

/**
 * The renter's audits: every period each host is asked for random leaves of its contract, and gets a receipt when they are
 * right. A host that does not answer is asked again, each time by a job of its own, so that none waits in the queue's way.
 */

const LEAVES_PER_AUDIT = 4;
/** Tries of an audit in its period, as parts of the period after the first; a try that would come later is not made. */
const AUDIT_TRIES = [0, 0.35, 0.65];
/** First tries are spread over this part of the period, so that hosts are not all asked at once. */
const AUDIT_SPREAD = 0.1;
/** An answer may take this part of the period, so that the last try still ends in it. */
const ANSWER_PART = 0.2;
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

export interface AuditsOptions {
  readonly ledger: MarketLedger;
  readonly link: HostLink;
  readonly store: KeyValues;
  readonly files: Pick<FileStore, 'egressBytes'>;
  readonly book: HostBook;
  readonly accountSecret: Uint8Array;
  readonly periodMs: number;
  now(): number;
  onAudit(record: AuditRecord): void;
  /** Adds the next try to the queue. */
  add(job: Job): Promise<void>;
}

export class Audits {
  readonly #options: AuditsOptions;
  #records: AuditRecord[] = [];
  /** The newest period that was judged, by contract. */
  readonly #judged = new Map<ContractId, number>();

  constructor(options: AuditsOptions) {
    this.#options = options;
  }

  open(): void {
    this.#records = readJson<AuditRecord[]>(this.#options.store, 'audits') ?? [];
    for (const { contractId, period } of this.#records) this.#judge(contractId, period);
  }

  /** Newest first. */
  list(): readonly AuditRecord[] {
    return [...this.#records].reverse();
  }

  #judge(contractId: ContractId, period: number): void {
    this.#judged.set(contractId, Math.max(period, this.#judged.get(contractId) ?? period));
  }

  #isJudged(contractId: ContractId, period: number): boolean {
    return (this.#judged.get(contractId) ?? -1) >= period;
  }

  /** The first try of this period's audit, when one is due. */
  due(contractId: ContractId, contract: StorageContract, period: number): Job | undefined {
    if (contract.startPeriod > period || contract.nextPeriod > period || isEmptyAt(contract, period))
      return undefined;
    if (this.#isJudged(contractId, period)) return undefined;
    const startedMs = this.#options.now() + Math.random() * AUDIT_SPREAD * this.#options.periodMs;
    return this.#attempt({ contractId, period, try: 0, startedMs });
  }

  #attempt(data: AuditData): Job {
    const part = AUDIT_TRIES[data.try] as number;
    return {
      id: `audit/${data.contractId}/${data.period}/${data.try}`,
      kind: 'audit',
      data: { ...data },
      notBeforeMs: data.startedMs + part * this.#options.periodMs,
    };
  }

  /**
   * Makes one try; resolves to what came of it. Rejects with MarketError `not-found` when the host has failed the audit:
   * at once when what it answered is wrong, after three tries when it did not answer. A period that ends before is not
   * judged here; the ledger judges it.
   */
  async run({ data }: Job): Promise<string> {
    const { ledger, book, now } = this.#options;
    const audit = data as unknown as AuditData;
    const { contractId, period } = audit;
    const contract = ledger.contract(contractId);
    if (contract === undefined) return 'the contract is over';
    if (contract.nextPeriod > period) return 'settled already';
    if (ledger.period() > period) return 'the period is over';
    const host = ledger.hostNodeOf(contract);
    if (!this.#isJudged(contractId, period)) {
      const askedMs = now();
      try {
        await this.#challenge(host, contractId, contract, period);
      } catch (error) {
        const reason = (error as Error).message;
        const why = faultOf(error as Error);
        if (why === 'silent' && audit.try + 1 < AUDIT_TRIES.length) {
          await this.#options.add(this.#attempt({ ...audit, try: audit.try + 1 }));
          return `no answer, to be asked again: ${reason}`;
        }
        const { failedInARow } = await book.failed(host, period, why);
        await this.#record({ contractId, host, period, ok: false, latencyMs: 0, reason });
        throw new MarketError('not-found', `the host failed its audit (${failedInARow} in a row): ${reason}`);
      }
      const latencyMs = now() - askedMs;
      await book.passed(host, latencyMs);
      await this.#record({ contractId, host, period, ok: true, latencyMs, reason: undefined });
    }
    try {
      await this.#giveReceipt(host, contractId, contract, period);
    } catch (error) {
      const reason = (error as Error).message;
      if (audit.try + 1 >= AUDIT_TRIES.length) return `kept; the receipt was not taken: ${reason}`;
      await this.#options.add(this.#attempt({ ...audit, try: audit.try + 1 }));
      return `kept; the receipt is to be given again: ${reason}`;
    }
    return 'kept; the receipt is given';
  }

  /** The ledger counts a period of a host as missed: that is a failed audit, if this renter could not see it itself. */
  async missed(contractId: ContractId, contract: StorageContract, period: number): Promise<void> {
    const { ledger, book } = this.#options;
    const own = this.#records.filter((record) => record.contractId === contractId && record.period >= period);
    if (own.some((record) => record.period === period)) return;
    const host = ledger.hostNodeOf(contract);
    if (!own.some(({ ok }) => ok)) await book.failed(host, period, 'silent');
    const reason = 'neither receipt nor proof reached the ledger';
    await this.#record({ contractId, host, period, ok: false, latencyMs: 0, reason });
  }

  async #challenge(
    host: NodeId,
    contractId: ContractId,
    contract: StorageContract,
    period: number,
  ): Promise<void> {
    const inForce = rootAt(contract, period);
    if (inForce === undefined) throw new MarketError('bad-range', `no root is in force in period ${period}`);
    const { root, leafCount, revision } = inForce;
    const leaves = Array.from({ length: LEAVES_PER_AUDIT }, () => randomInt(leafCount));
    const proofs = await within(
      ANSWER_PART * this.#options.periodMs,
      this.#options.link.challenge(host, contractId, revision, leaves),
    );
    const good =
      proofs.length === leaves.length &&
      proofs.every((proof, i) => holds(proof, root, leaves[i] as number, leafCount));
    if (!good) throw new MarketError('damaged', 'the host answered with data that is not in the contract');
  }

  async #record(audit: Omit<AuditRecord, 'atMs'>): Promise<void> {
    const record = { ...audit, atMs: this.#options.now() };
    this.#records.push(record);
    this.#judge(record.contractId, record.period);
    if (this.#records.length > AUDITS_KEPT) this.#records.splice(0, this.#records.length - AUDITS_KEPT);
    this.#options.onAudit(record);
    await this.#options.store.write([{ key: 'audits', value: jsonValue(this.#records) }]);
  }

  async #giveReceipt(
    host: NodeId,
    contractId: ContractId,
    contract: StorageContract,
    throughPeriod: number,
  ): Promise<void> {
    const { ledger, link, files, accountSecret } = this.#options;
    const revision = rootAt(contract, throughPeriod)?.revision ?? 0;
    const egressBytes = Math.max(contract.egressBytes, files.egressBytes(contractId));
    const body = { contractId, throughPeriod, revision, egressBytes };
    await link.deliverReceipt(host, {
      ...body,
      renterSignature: sign(receiptDigest(ledger.chainId, body), accountSecret),
    });
  }
}

/** What an audit's job carries. */
interface AuditData {
  readonly contractId: ContractId;
  readonly period: number;
  readonly try: number;
  /** Wall time of the first try. */
  readonly startedMs: number;
}

/** What an audit's error says of the host. */
function faultOf(error: Error): HostFault {
  if (error instanceof MarketError) return error.code === 'damaged' ? 'lied' : 'silent';
  const code = codeOf(error);
  return code === 'not-found' || code === 'bad-range' ? 'lost-data' : 'silent';
}

/** What `task` gives, or a MarketError `too-late` after `ms`. */
async function within<T>(ms: number, task: Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const bound = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new MarketError('too-late', `no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([task, bound]);
  } finally {
    clearTimeout(late);
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
