import { fromHex, toHex } from '../../ledger/bytes.ts';
import { verify } from '../../ledger/crypto/secp256k1.ts';
import { type ContractId, idBytes } from '../../ledger/ids.ts';
import { challengeLeaves, rootAt } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import { type PeriodProof, receiptDigest } from '../../ledger/storage-formats.ts';
import { MarketError } from '../errors.ts';
import type { Host } from '../host/host.ts';
import {
  jsonValue,
  type KeyValues,
  type MarketLedger,
  type MarketWallet,
  type Receipt,
  readJson,
} from '../interfaces.ts';
import type { Job } from './queue.ts';

/** How a host is paid: by the renter's receipt when there is one, by proofs on the ledger when there is none. */

/** Periods without a receipt are proven on the ledger after this part of the next period. */
const PROVE_AFTER = 0.5;
/** Periods that a renter may be ahead of this host, in what both know of the ledger. */
const PERIODS_AHEAD = 1;

export interface SettlementsOptions {
  readonly ledger: MarketLedger;
  readonly wallet: MarketWallet;
  readonly store: KeyValues;
  readonly host: Pick<Host, 'prove' | 'agreeEgress'>;
  now(): number;
  add(job: Job): Promise<void>;
}

export class Settlements {
  readonly #options: SettlementsOptions;
  readonly #running = new Set<ContractId>();

  constructor(options: SettlementsOptions) {
    this.#options = options;
  }

  /** The settlement that is due, if one is. */
  due(contractId: ContractId, contract: StorageContract, period: number): Job | undefined {
    const { ledger, now } = this.#options;
    const receipt = this.#receipt(contractId);
    const byReceipt = receipt !== undefined && saysMore(receipt, contract);
    const oldest = contract.nextPeriod;
    const byProofs =
      oldest <= contract.endPeriod &&
      (oldest < period - 1 || (oldest < period && ledger.periodProgress() > PROVE_AFTER));
    if (!byReceipt && !byProofs) return undefined;
    const evidence = byReceipt ? `receipt-${receipt.throughPeriod}-${receipt.egressBytes}` : 'proofs';
    return {
      id: `settle/${contractId}/${contract.nextPeriod}/${period}/${evidence}`,
      kind: 'settle',
      data: { contractId },
      notBeforeMs: now(),
    };
  }

  #receipt(id: ContractId): Receipt | undefined {
    const stored = readJson<Omit<Receipt, 'renterSignature'> & { renterSignature: string }>(
      this.#options.store,
      `receipt/${id}`,
    );
    return stored && { ...stored, renterSignature: fromHex(stored.renterSignature) ?? new Uint8Array(0) };
  }

  /**
   * Takes a renter's receipt when the ledger would pay by it, now or a period from now, and when it says more than the
   * last: one that the ledger must refuse would stand in the way of proofs, and of receipts that are good.
   * Throws MarketError `contract-unknown` or `bad-terms`.
   */
  async receive(receipt: Receipt): Promise<void> {
    const { ledger, store, host, add } = this.#options;
    const { contractId, throughPeriod, revision, egressBytes } = receipt;
    const contract = ledger.contract(contractId);
    if (contract === undefined || contract.hostAccountId !== ledger.accountId)
      throw new MarketError('contract-unknown', 'there is no such live contract here');
    const latest = Math.min(ledger.period() + PERIODS_AHEAD, contract.endPeriod);
    if (throughPeriod > latest)
      throw new MarketError('bad-terms', `expected a receipt up to period ${latest}, got ${throughPeriod}`);
    const inForce = rootAt(contract, throughPeriod)?.revision ?? 0;
    if (revision > contract.revision || revision < inForce)
      throw new MarketError(
        'bad-terms',
        `expected a receipt for revision ${inForce} to ${contract.revision}`,
      );
    if (!verify(receipt.renterSignature, receiptDigest(ledger.chainId, receipt), idBytes(contract.renterId)))
      throw new MarketError('bad-terms', 'the renter must sign the receipt');
    const before = this.#receipt(contractId);
    if (before !== undefined && before.throughPeriod >= throughPeriod && before.egressBytes >= egressBytes)
      return;
    await store.write([
      {
        key: `receipt/${contractId}`,
        value: jsonValue({ ...receipt, renterSignature: toHex(receipt.renterSignature) }),
      },
    ]);
    if (throughPeriod > (before?.throughPeriod ?? -1)) await host.agreeEgress(contractId, egressBytes);
    const job = this.due(contractId, contract, ledger.period());
    if (job !== undefined) await add(job);
  }

  /** Settles what is due of a contract. Resolves to what was done, in words. */
  async run(contractId: ContractId): Promise<string> {
    if (this.#running.has(contractId)) return 'is being settled';
    this.#running.add(contractId);
    try {
      return (await this.#byReceipt(contractId)) ?? (await this.#byProofs(contractId));
    } finally {
      this.#running.delete(contractId);
    }
  }

  /** `undefined` when no receipt pays anything. */
  async #byReceipt(contractId: ContractId): Promise<string | undefined> {
    const { ledger, wallet, store } = this.#options;
    const contract = ledger.contract(contractId);
    const receipt = this.#receipt(contractId);
    if (contract === undefined || receipt === undefined || !saysMore(receipt, contract)) return undefined;
    const { throughPeriod, revision, egressBytes, renterSignature } = receipt;
    if (throughPeriod > Math.min(ledger.period(), contract.endPeriod)) return undefined;
    try {
      await wallet.submit({
        kind: 'storage.settle',
        contractId,
        throughPeriod,
        evidence: { kind: 'receipt', revision, egressBytes, renterSignature },
      });
      return `paid by receipt through period ${throughPeriod}`;
    } catch (error) {
      // A revision became final after the receipt was taken: it is worth nothing any more.
      if ((error as { code?: string }).code !== 'bad-receipt') throw error;
      await store.write([{ key: `receipt/${contractId}`, value: undefined }]);
      return undefined;
    }
  }

  async #byProofs(contractId: ContractId): Promise<string> {
    const { ledger, wallet } = this.#options;
    const contract = ledger.contract(contractId);
    if (contract === undefined) return 'the contract is over';
    const last = Math.min(ledger.period() - 1, contract.endPeriod);
    if (last < contract.nextPeriod) return 'nothing is due';
    const { periods, through } = await this.#proofs(contractId, contract, last);
    await wallet.submit({
      kind: 'storage.settle',
      contractId,
      throughPeriod: through,
      evidence: { kind: 'proofs', periods },
    });
    return `paid by proofs through period ${through}`;
  }

  /** Proofs of the unsettled periods up to `last`, or up to the first that cannot be proven. Throws when that is the first. */
  async #proofs(
    contractId: ContractId,
    contract: StorageContract,
    last: number,
  ): Promise<{ readonly periods: readonly PeriodProof[]; readonly through: number }> {
    const { ledger, host } = this.#options;
    const periods: PeriodProof[] = [];
    const first = Math.max(contract.nextPeriod, ledger.period() - ledger.parameters.proofWindow);
    for (let period = first; period <= last; period++) {
      const beacon = ledger.beacon(period);
      const root = rootAt(contract, period);
      if (beacon === undefined || root === undefined || root.leafCount === 0) continue;
      const leaves = challengeLeaves(
        beacon,
        contractId,
        root.leafCount,
        ledger.parameters.challengesPerPeriod,
      );
      try {
        periods.push({ period, leaves: await host.prove(contractId, root.revision, leaves) });
      } catch (error) {
        if (periods.length === 0) throw error;
        return { periods, through: period - 1 };
      }
    }
    return { periods, through: last };
  }
}

/** Whether the ledger would pay anything by a receipt. */
function saysMore(receipt: Receipt, contract: StorageContract): boolean {
  return receipt.throughPeriod >= contract.nextPeriod || receipt.egressBytes > contract.egressBytes;
}
