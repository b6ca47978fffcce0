import { LedgerError } from '../../ledger/errors.ts';
import type { ChainId, NodeId } from '../../ledger/ids.ts';
import {
  checkRecord,
  decodeRecords,
  encodeRecords,
  type NodeRecord,
  RECORDS_MAX,
  signRecord,
} from './node-record.ts';

/** Where nodes are: the latest record of each, kept over restarts and told to new peers. */

const RECORDS_KEPT_MAX = 10_000;
/** What a new peer is told. */
const GREETING_RECORDS_MAX = 1_000;
/** Records come in bursts; they are written together. */
const SAVE_AFTER_MS = 500;

export interface RecordStore {
  load(): readonly Uint8Array[];
  save(records: readonly Uint8Array[]): void;
}

export interface DirectoryOptions {
  readonly chainId: ChainId;
  readonly nodeId: NodeId;
  readonly nodeSecret: Uint8Array;
  /** The addresses of this node, host:port. */
  readonly advertise: readonly string[];
  readonly store: RecordStore;
  /** Records that are not given up when there are too many. */
  keep(nodeId: NodeId): boolean;
  /** The store could not be written; it is tried again with the next record. */
  onSaveFailed(error: unknown): void;
}

export class Directory {
  readonly #options: DirectoryOptions;
  readonly #records = new Map<NodeId, NodeRecord>();
  readonly #own: NodeRecord;
  #saving: NodeJS.Timeout | undefined;

  /** Takes up the stored records, as far as they are sound, and signs this node's own anew. */
  constructor(options: DirectoryOptions) {
    this.#options = options;
    const { chainId, nodeId, nodeSecret, advertise, store } = options;
    for (const bytes of store.load()) this.receive(bytes);
    const before = this.#records.get(nodeId)?.sequence ?? 0;
    const sequence = Math.max(Date.now(), before + 1);
    this.#own = signRecord(chainId, { nodeId, addresses: advertise, sequence }, nodeSecret);
    this.#records.set(nodeId, this.#own);
    this.#save();
  }

  /** Addresses that a node has signed for. */
  addressesOf(nodeId: NodeId): readonly string[] {
    return this.#records.get(nodeId)?.addresses ?? [];
  }

  /** Messages for a new peer: this node's own record first, then the newest of the others. */
  greeting(): readonly Uint8Array[] {
    const others = [...this.#records.values()].filter((record) => record !== this.#own);
    return inGroups([this.#own, ...others.slice(1 - GREETING_RECORDS_MAX)]);
  }

  /** Keeps what is new and rightly signed in a message. Gives what others should hear, and why the rest was refused. */
  receive(body: Uint8Array): { readonly fresh: readonly NodeRecord[]; readonly refused?: LedgerError } {
    const fresh: NodeRecord[] = [];
    try {
      for (const record of decodeRecords(body)) {
        const known = this.#records.get(record.nodeId);
        if (known !== undefined && (known === this.#own || known.sequence >= record.sequence)) continue;
        checkRecord(this.#options.chainId, record);
        if (known === undefined && this.#records.size >= RECORDS_KEPT_MAX) this.#giveOneUp();
        this.#records.delete(record.nodeId);
        this.#records.set(record.nodeId, record);
        fresh.push(record);
      }
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      return { fresh, refused: error };
    } finally {
      if (fresh.length > 0) this.#saving ??= setTimeout(() => this.#save(), SAVE_AFTER_MS).unref();
    }
    return { fresh };
  }

  #save(): void {
    clearTimeout(this.#saving);
    this.#saving = undefined;
    try {
      this.#options.store.save(inGroups([...this.#records.values()]));
    } catch (error) {
      this.#options.onSaveFailed(error);
    }
  }

  /** Stops; what has not been saved is saved. */
  close(): void {
    if (this.#saving !== undefined) this.#save();
  }

  /**
   * Any one will do, and which one cannot be foreseen: keys cost nothing, so that a flood of made-up nodes must neither
   * keep out newcomers for ever nor push out a chosen node.
   */
  #giveOneUp(): void {
    const ids = [...this.#records.keys()];
    const from = Math.floor(Math.random() * ids.length);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[(from + i) % ids.length] as NodeId;
      if (id === this.#options.nodeId || this.#options.keep(id)) continue;
      this.#records.delete(id);
      return;
    }
  }
}

function inGroups(records: readonly NodeRecord[]): readonly Uint8Array[] {
  return Array.from({ length: Math.ceil(records.length / RECORDS_MAX) }, (_, i) =>
    encodeRecords(records.slice(i * RECORDS_MAX, (i + 1) * RECORDS_MAX)),
  );
}
