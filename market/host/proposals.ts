import { textOf } from '../../ledger/bytes.ts';
import type { ContractId, Hash } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import { decodeList, encodeList, type FragmentList } from '../fragment-list.ts';
import { jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';

/**
 * What a host signed and may still come to the ledger: only its renter decides when, and which of several. Each list is
 * kept as long as the ledger would take the signature, whatever the clock says; or else a renter could hold back what was
 * signed until its fragments are gone, and be paid the collateral.
 */

/** Until when the ledger takes a signature. */
export type Validity =
  | { readonly kind: 'terms'; readonly startPeriod: number }
  | { readonly kind: 'revision'; readonly contractId: ContractId; readonly revision: number };

/** Lists of one owner, a renter's new terms or a contract's revisions; a renter needs one at a time. */
export const PROPOSALS_MAX = 256;

export class Proposals {
  readonly #store: KeyValues;
  readonly #ledger: Pick<MarketLedger, 'period' | 'contract'>;

  constructor(store: KeyValues, ledger: Pick<MarketLedger, 'period' | 'contract'>) {
    this.#store = store;
    this.#ledger = ledger;
  }

  /** Before the signature is given. Throws MarketError `bad-terms` when too many are open. */
  async keep(owner: string, root: Hash, list: FragmentList, validity: Validity): Promise<void> {
    const rows = await this.#store.range(`validity/${owner}/`);
    const before = readJson<Validity>(this.#store, `validity/${owner}/${root}`);
    if (before === undefined && rows.filter(({ value }) => this.#open(parse(value))).length >= PROPOSALS_MAX)
      throw new MarketError(
        'bad-terms',
        `${PROPOSALS_MAX} signatures were given and none came to the ledger; expected one of them first`,
      );
    await this.#store.write([
      { key: `proposed/${owner}/${root}`, value: encodeList(list) },
      { key: `validity/${owner}/${root}`, value: jsonValue(later(before, validity)) },
    ]);
  }

  /** The fragments that were signed for under a root. */
  list(owner: string, root: Hash): FragmentList | undefined {
    const bytes = this.#store.get(`proposed/${owner}/${root}`);
    return bytes === undefined ? undefined : decodeList(bytes);
  }

  /** Names of those that the ledger would not take any more. What came of them must be adopted before they are dropped. */
  async dead(): Promise<readonly string[]> {
    const rows = await this.#store.range('validity/');
    return rows.flatMap(({ key, value }) =>
      this.#open(parse(value)) ? [] : [key.slice('validity/'.length)],
    );
  }

  drop(names: readonly string[]): Promise<void> {
    return this.#store.write(
      names.flatMap((name) => [
        { key: `proposed/${name}`, value: undefined },
        { key: `validity/${name}`, value: undefined },
      ]),
    );
  }

  /** Every fragment that one of them speaks of. */
  async *roots(): AsyncGenerator<Hash> {
    for (const { value } of await this.#store.range('proposed/')) yield* decodeList(value);
  }

  #open(validity: Validity): boolean {
    if (validity.kind === 'terms') return this.#ledger.period() <= validity.startPeriod;
    const contract = this.#ledger.contract(validity.contractId);
    return contract !== undefined && contract.revision < validity.revision;
  }
}

function parse(bytes: Uint8Array): Validity {
  return JSON.parse(textOf(bytes)) as Validity;
}

function later(before: Validity | undefined, now: Validity): Validity {
  if (before?.kind === 'terms' && now.kind === 'terms' && before.startPeriod > now.startPeriod) return before;
  if (before?.kind === 'revision' && now.kind === 'revision' && before.revision > now.revision) return before;
  return now;
}
