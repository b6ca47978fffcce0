import type { NodeId } from '../../ledger/ids.ts';
import { newestRoot } from '../../ledger/state/contract-terms.ts';
import { jsonValue, type KeyValues, readJson } from '../interfaces.ts';
import type { Backup } from './backup.ts';
import { type FindOptions, findFiles, findLists } from './find-at-hosts.ts';
import { type Manifests, SNAPSHOT } from './manifests.ts';

/**
 * A recovery from its beginning until every host has answered, or its contract is over: whom it still waits for outlives
 * the process, and nothing is taken out of contracts before.
 */

const RECOVERING = 'recovering';

/** What a recovery brought back. */
export interface Recovery {
  /** Names of files that were not here. */
  readonly added: readonly string[];
  /** Files that are here now. */
  readonly files: number;
  /** Hosts of live contracts, */
  readonly hosts: number;
  /** and those of them that still have to answer. */
  readonly silent: readonly NodeId[];
}

export interface FileRecoveryOptions extends FindOptions {
  readonly store: KeyValues;
  readonly manifests: Manifests;
  /** The note goes on from the one that was found. */
  readonly backup: Pick<Backup, 'sequence' | 'goOn' | 'saved'>;
}

export class FileRecovery {
  readonly #options: FileRecoveryOptions;
  #running: Promise<Recovery> | undefined;

  constructor(options: FileRecoveryOptions) {
    this.#options = options;
  }

  /** Contracts of this account are live, and this data folder knows nothing of what is in them. */
  async isNeeded(): Promise<boolean> {
    const { ledger, contractor } = this.#options;
    const renting = await ledger.contractsOf('renter');
    const filled = renting.filter(({ contract }) => newestRoot(contract).leafCount > 0);
    return filled.length > 0 && filled.every(({ contract }) => !contractor.knows(contract));
  }

  /** Whether hosts of live contracts still have to answer. */
  async isUnderWay(): Promise<boolean> {
    const { ledger, store } = this.#options;
    const silent = readJson<readonly NodeId[]>(store, RECOVERING);
    if (silent === undefined) return false;
    if (silent.some((host) => ledger.contractBetween(ledger.accountId, host) !== undefined)) return true;
    await store.write([{ key: RECOVERING, value: undefined }]);
    return false;
  }

  /**
   * Finds the files of this account with what its hosts have. Files that are here stay as they are, where what hosts have
   * is not newer. Throws MarketError `not-enough-fragments` when the list of files cannot be read now.
   */
  run(): Promise<Recovery> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #run(): Promise<Recovery> {
    const { ledger, store, manifests, backup } = this.#options;
    const asked = (await ledger.contractsOf('renter')).map(({ contract }) => ledger.hostNodeOf(contract));
    await store.write([{ key: RECOVERING, value: jsonValue(asked) }]);
    const { sequence, files, snapshot, silent } = await findFiles(asked, this.#options);
    const added: string[] = [];
    if (sequence !== undefined && sequence > backup.sequence) {
      if (snapshot !== undefined) await manifests.change(SNAPSHOT, () => snapshot);
      for (const [name, manifest] of files) {
        await manifests.change(name, (now) => {
          if (manifest === null || (now !== undefined && now.createdMs >= manifest.createdMs)) return now;
          added.push(name);
          return manifest;
        });
      }
      await backup.goOn(sequence);
    }
    // Last: without its list nothing is taken out of a contract.
    const missing = await findLists(this.#options);
    const left = [...new Set([...silent, ...missing])];
    await store.write([{ key: RECOVERING, value: left.length === 0 ? undefined : jsonValue(left) }]);
    if (files.size > 0) await backup.saved();
    return { added, files: manifests.count, hosts: asked.length, silent: left };
  }
}
