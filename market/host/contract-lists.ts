import type { ContractId, Hash } from '../../ledger/ids.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import { decodeList, encodeList, type FragmentList } from '../fragment-list.ts';
import type { KeyValues } from '../interfaces.ts';
import type { Pending } from './pending.ts';
import type { Proposals } from './proposals.ts';

/** The fragments under each contract, a list for every revision that a period can still ask for. */
export class ContractLists {
  readonly #store: KeyValues;
  readonly #proposals: Proposals;
  readonly #pending: Pending;
  /** All fragments of a contract, loaded when first asked. */
  readonly #members = new Map<ContractId, ReadonlySet<Hash>>();

  constructor(store: KeyValues, proposals: Proposals, pending: Pending) {
    this.#store = store;
    this.#proposals = proposals;
    this.#pending = pending;
  }

  /** `undefined` when this host knows no such revision, or there is nothing in it. */
  list(id: ContractId, revision: number): FragmentList | undefined {
    const bytes = this.#store.get(keyOf(id, revision));
    return bytes && decodeList(bytes);
  }

  covers(id: ContractId, contract: StorageContract, root: Hash): boolean {
    const known = this.#members.get(id);
    if (known !== undefined) return known.has(root);
    // What a revision removed may still be read until it is in force.
    const members = new Set(contract.roots.flatMap(({ revision }) => this.list(id, revision) ?? []));
    this.#members.set(id, members);
    return members.has(root);
  }

  /** What the ledger says of a contract is now so: proposed lists become lists, those no period can ask for go. */
  async adopt(id: ContractId, contract: StorageContract): Promise<void> {
    const changes: { readonly key: string; readonly value: Uint8Array | undefined }[] = [];
    for (const { revision, root, leafCount } of contract.roots) {
      if (leafCount === 0 || this.#store.get(keyOf(id, revision)) !== undefined) continue;
      const owner = revision === 0 ? contract.renterId : id;
      const proposed = this.#proposals.list(owner, root);
      if (proposed === undefined) continue;
      changes.push({ key: keyOf(id, revision), value: encodeList(proposed) });
      for (const fragment of proposed) this.#pending.drop(fragment);
    }
    const kept = new Set(contract.roots.map(({ revision }) => revision));
    for (const { key } of await this.#store.range(`list/${id}/`)) {
      const revision = Number(key.split('/')[2]);
      // Newer ones are of a time that a ledger which is fetched again has not reached.
      if (!kept.has(revision) && revision < contract.revision) changes.push({ key, value: undefined });
    }
    this.#members.delete(id);
    await this.#store.write(changes);
  }

  /** A contract is over: nothing is read under it any more. Its lists stay until a sweep finds it long over. */
  close(id: ContractId): void {
    this.#members.delete(id);
  }
}

function keyOf(id: ContractId, revision: number): string {
  return `list/${id}/${revision}`;
}
