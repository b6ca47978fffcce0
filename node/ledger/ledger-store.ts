import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ChainedBatch, Level } from 'level';
import type { Block } from '../../ledger/block.ts';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlock,
  decodeHeader,
  encodeBlock,
  genesisHeader,
  HEADER_BYTES,
} from '../../ledger/block.ts';
import { utf8 } from '../../ledger/bytes.ts';
import { commit, type PageChanges, type PageReader, storedRoot } from '../../ledger/commitment/commitment.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { chainIdOf, type Genesis } from '../../ledger/genesis.ts';
import type { BlockId } from '../../ledger/ids.ts';
import { readerOver, type StateChanges, type StateReader } from '../../ledger/state/draft.ts';
import { genesisChanges } from '../../ledger/state/genesis-state.ts';
import { NodeError } from '../errors.ts';

/**
 * The ledger on disk: LevelDB, one atomic synced batch a commit. Key spaces by prefix:
 * `s/` state rows, `p/` commitment pages, `b/` blocks by id, `h/` final block ids by height, `k/` all blocks by height,
 * `i/` indexes (JSON), `m/` the rest.
 */

const FINAL_KEY = 'm/final';
const CHAIN_KEY = 'm/chain';

/** The newest final block, and what consensus needs to go on from it. */
export interface FinalRecord {
  readonly id: BlockId;
  readonly height: number;
  readonly epoch: number;
  readonly view: number;
  readonly timestampMs: number;
  /** The encoded Finalization, base64; absent at genesis. */
  readonly certificate: string | undefined;
}

/** Index entries by key; `undefined` removes the entry. */
export type IndexChanges = ReadonlyMap<string, Uint8Array | undefined>;

/** Fixed-width decimal so that keys sort as numbers. */
export function sortable(value: number, width = 12): string {
  return String(value).padStart(width, '0');
}

/** A JSON value as bytes; amounts are decimal strings in it. */
export function jsonBytes(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

export class LedgerStore {
  readonly #db: Level<string, Uint8Array>;
  readonly state: StateReader;
  readonly page: PageReader;
  #final: FinalRecord;

  private constructor(db: Level<string, Uint8Array>, final: FinalRecord) {
    this.#db = db;
    this.#final = final;
    this.state = readerOver((key) => this.row(key));
    this.page = (path) => this.#db.getSync(`p/${path}`);
  }

  /**
   * Opens the ledger in `folder`, made from `genesis` when there is none.
   * Throws NodeError `data-in-use`, `data-damaged`, `data-of-another-chain`.
   */
  static async open(folder: string, genesis: Genesis): Promise<LedgerStore> {
    const location = join(folder, 'ledger');
    mkdirSync(location, { recursive: true, mode: 0o700 });
    const db = new Level<string, Uint8Array>(location, { valueEncoding: 'view', cacheSize: 32 * 1_048_576 });
    try {
      await db.open();
    } catch (error) {
      throw openError(location, error);
    }
    try {
      const chainId = chainIdOf(genesis);
      const stored = db.getSync(CHAIN_KEY);
      if (stored === undefined) await writeGenesis(db, genesis);
      else if (new TextDecoder().decode(stored) !== chainId) {
        throw new NodeError(
          'data-of-another-chain',
          `the ledger in ${location} belongs to another network; use another --data folder or the network file it was made with`,
        );
      }
      const final = readJson<FinalRecord>(db.getSync(FINAL_KEY));
      const block = final === undefined ? undefined : db.getSync(`b/${final.id}`);
      if (final === undefined || block === undefined)
        throw damaged(location, 'the record of the newest block is missing');
      const store = new LedgerStore(db, final);
      const header = decodeHeader(block.subarray(0, HEADER_BYTES));
      if (storedRoot(store.page) !== header.stateRoot)
        throw damaged(location, 'the state does not match the newest block');
      return store;
    } catch (error) {
      await db.close();
      throw error instanceof LedgerError ? damaged(location, error.message) : error;
    }
  }

  get final(): FinalRecord {
    return this.#final;
  }

  row(key: string): Uint8Array | undefined {
    return this.#db.getSync(`s/${key}`);
  }

  header(id: BlockId): BlockHeader | undefined {
    const bytes = this.#db.getSync(`b/${id}`);
    return bytes === undefined ? undefined : decodeHeader(bytes.subarray(0, HEADER_BYTES));
  }

  blockBytes(id: BlockId): Uint8Array | undefined {
    return this.#db.getSync(`b/${id}`);
  }

  block(id: BlockId): Block | undefined {
    const bytes = this.#db.getSync(`b/${id}`);
    return bytes === undefined ? undefined : decodeBlock(bytes);
  }

  /** The final block at a height. */
  idAt(height: number): BlockId | undefined {
    const bytes = this.#db.getSync(`h/${sortable(height)}`);
    return bytes === undefined ? undefined : (new TextDecoder().decode(bytes) as BlockId);
  }

  /** Ids of all stored blocks with `from` <= height <= `to`, final and abandoned. */
  async idsBetween(from: number, to: number): Promise<readonly BlockId[]> {
    const ids: BlockId[] = [];
    for await (const key of this.#db.keys({ gte: `k/${sortable(from)}`, lt: `k/${sortable(to + 1)}` })) {
      ids.push(key.slice(key.lastIndexOf('/') + 1) as BlockId);
    }
    return ids;
  }

  /** A JSON value of the indexes. */
  index<T>(key: string): T | undefined {
    return readJson<T>(this.#db.getSync(`i/${key}`));
  }

  /** Index entries under `prefix` in key order (or the reverse), after `after` (exclusive), at most `limit`. */
  async indexRange<T>(
    prefix: string,
    options: { after?: string | undefined; limit: number; reverse?: boolean },
  ): Promise<readonly { readonly key: string; readonly value: T }[]> {
    const base = `i/${prefix}`;
    const { after, limit, reverse = false } = options;
    const range = reverse
      ? { gte: base, lt: after === undefined ? `${base}\uffff` : base + after, reverse, limit }
      : { gt: after === undefined ? base : base + after, lt: `${base}\uffff`, limit };
    const out: { key: string; value: T }[] = [];
    for await (const [key, value] of this.#db.iterator(range)) {
      out.push({ key: key.slice(base.length), value: readJson<T>(value) as T });
    }
    return out;
  }

  /** State rows of a table in key order, after the id `after`, at most `limit`: [id, encoded row]. */
  async rows(
    table: string,
    after: string | undefined,
    limit: number,
  ): Promise<readonly (readonly [string, Uint8Array])[]> {
    const base = `s/${table}/`;
    const out: (readonly [string, Uint8Array])[] = [];
    for await (const [key, value] of this.#db.iterator({
      gt: base + (after ?? ''),
      lt: `${base}\uffff`,
      limit,
    })) {
      out.push([key.slice(base.length), value]);
    }
    return out;
  }

  /** One atomic batch, on disk when it resolves: rows, pages, blocks, indexes and the new final record. */
  async commit(parts: {
    readonly changes: readonly StateChanges[];
    readonly pages: readonly PageChanges[];
    readonly blocks: readonly Block[];
    readonly abandoned: readonly Block[];
    readonly index: IndexChanges;
    readonly final: FinalRecord;
  }): Promise<void> {
    const batch = this.#db.batch();
    addChanges(batch, 'i/', parts.index);
    for (const changes of parts.changes) addChanges(batch, 's/', changes);
    for (const pages of parts.pages) addChanges(batch, 'p/', pages);
    for (const block of parts.blocks) addBlock(batch, block, true);
    for (const block of parts.abandoned) addBlock(batch, block, false);
    batch.put(FINAL_KEY, jsonBytes(parts.final));
    await batch.write({ sync: true });
    this.#final = parts.final;
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}

/** Operations one by one: ten times faster than an array of them, which the library clones. */
type Batch = ChainedBatch<Level<string, Uint8Array>, string, Uint8Array>;

function addChanges(
  batch: Batch,
  prefix: string,
  changes: ReadonlyMap<string, Uint8Array | undefined>,
): void {
  for (const [key, value] of changes) {
    if (value === undefined) batch.del(prefix + key);
    else batch.put(prefix + key, value);
  }
}

function addBlock(batch: Batch, block: Block, final: boolean): void {
  const id = blockIdOf(block.header);
  const height = sortable(block.header.height);
  batch.put(`b/${id}`, encodeBlock(block));
  batch.put(`k/${height}/${id}`, new Uint8Array(0));
  if (final) batch.put(`h/${height}`, utf8(id));
}

async function writeGenesis(db: Level<string, Uint8Array>, genesis: Genesis): Promise<void> {
  const changes = genesisChanges(genesis);
  const { root, pages } = commit(() => undefined, changes);
  const header = genesisHeader(genesis, root);
  const batch = db.batch();
  addChanges(batch, 's/', changes);
  addChanges(batch, 'p/', pages);
  addBlock(batch, { header, transactions: [] }, true);
  const final: FinalRecord = {
    id: blockIdOf(header),
    height: 0,
    epoch: 0,
    view: 0,
    timestampMs: header.timestampMs,
    certificate: undefined,
  };
  batch.put(FINAL_KEY, jsonBytes(final));
  batch.put(CHAIN_KEY, utf8(chainIdOf(genesis)));
  await batch.write({ sync: true });
}

function readJson<T>(bytes: Uint8Array | undefined): T | undefined {
  return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as T);
}

function damaged(location: string, what: string): NodeError {
  return new NodeError(
    'data-damaged',
    `the ledger in ${location} is damaged: ${what}. It can be fetched from the network again: move this folder away and start`,
  );
}

function openError(location: string, error: unknown): NodeError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
  if (/lock/i.test(cause.message)) {
    return new NodeError('data-in-use', `another process uses ${location}; stop it first`, { cause });
  }
  return damaged(location, cause.message);
}
