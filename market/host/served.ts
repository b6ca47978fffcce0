import type { ContractId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { egressPrice, reservedStorageGrains } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import { MarketError } from '../errors.ts';
import type { KeyValues } from '../interfaces.ts';
import { Tally } from '../tally.ts';
import { EGRESS_FORGIVEN_BYTES } from './agreement.ts';

/** Bytes served under each contract, as far as its renter is to pay for them. */
export class Served {
  readonly #bytes: Tally<ContractId>;

  constructor(store: KeyValues) {
    this.#bytes = new Tally(store, 'egress/');
  }

  /** Takes up what was counted before a restart. */
  open(): Promise<void> {
    return this.#bytes.open();
  }

  bytes(id: ContractId): number {
    return this.#bytes.get(id);
  }

  /** Counts at once; on disk when it resolves. */
  add(id: ContractId, bytes: number): Promise<void> {
    return this.#bytes.set(id, this.bytes(id) + bytes);
  }

  /** Before one more fragment is served. Throws MarketError `renter-out-of-escrow` when the escrow does not pay for it. */
  demandPaid(id: ContractId, contract: StorageContract): void {
    const unpaid = Math.max(0, this.bytes(id) + FRAGMENT_BYTES - contract.egressBytes);
    const free = contract.escrowGrains - reservedStorageGrains(contract);
    if (egressPrice(contract.egressGrainsPerGiB, unpaid) > free)
      throw new MarketError(
        'renter-out-of-escrow',
        'the escrow does not cover more downloads; a revision can add to it',
      );
  }

  /** The receipt of one more period was taken: a little that its renter did not count is forgiven. */
  async agree(id: ContractId, receiptBytes: number): Promise<void> {
    const served = this.bytes(id);
    if (served > receiptBytes)
      await this.#bytes.set(id, Math.max(receiptBytes, served - EGRESS_FORGIVEN_BYTES));
  }

  forget(id: ContractId): Promise<void> {
    return this.#bytes.set(id, undefined);
  }
}
