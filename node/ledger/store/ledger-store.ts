import {
  type Block,
  type BlockHeader,
  decodeBlock,
  decodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import { textOf, utf8 } from '../../../ledger/bytes.ts';
import { type PageChanges, type PageReader, storedRoot } from '../../../ledger/commitment/commitment.ts';
import { type Boundary, decodeBoundary, encodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import { chainIdOf, type Genesis } from '../../../ledger/genesis.ts';
import type { BlockId, ChainId } from '../../../ledger/ids.ts';
import { readerOver, type StateChanges, type StateReader } from '../../../ledger/state/draft.ts';
import { Breather } from '../../breather.ts';
import { NodeError } from '../../errors.ts';
import { addBlock, addChanges, merged } from './batch-parts.ts';
import { decodeFinal, encodeFinal, type FinalRecord } from './final-record.ts';
import { HeightMark } from './height-mark.ts';
import {
  type Batch,
  CHAIN_KEY,
  type Database,
  damagedLedger,
  FINAL_KEY,
  jsonBytes,
  ledgerLocation,
  openDatabase,
  openError,
  PLACE_KEY,
  PRUNED_KEY,
  pagesAt,
  readJson,
  readText,
  rowsAt,
  type StatePlace,
  type StateView,
  sortable,
  write,
} from './ledger-database.ts';
import { RecentValues } from './recent-values.ts';
import { orderKey } from './state-tree.ts';
import { writeGenesis } from './write-genesis.ts';

/** The ledger on disk: one atomic synced batch a commit. */

const VOTING_KEY = 'm/voting';
/** Rows kept at hand: some 10 MiB of accounts. */
const ROWS_MAX = 32_768;
/** Pages of the commitment kept at hand, those near its root in any case: some 6 MiB. */
const PAGES_MAX = 8_192;

/** Where the last block of an epoch stands, with what proves it. */
export function boundaryKey(epoch: number): string {
  return `m/boundary/${sortable(epoch)}`;
}

/** Which vote log belongs to this ledger, and the epoch in which this node may not vote because it lost one. */
export interface VotingRecord {
  readonly logId: string | undefined;
  readonly abstainEpoch: number | undefined;
}

/** Index entries by key; `undefined` removes the entry. */
export type IndexChanges = Iterable<readonly [key: string, entry: Uint8Array | undefined]>;

export class LedgerStore {
  readonly database: Database;
  readonly state: StateReader;
  readonly page: PageReader;
  readonly #mark: HeightMark;
  readonly #rows = new RecentValues(ROWS_MAX);
  readonly #pages = new RecentValues(PAGES_MAX);
  readonly #loadRow = (key: string) => this.database.getSync(rowsAt(this.#place) + key);
  #place: StatePlace;
  #final: FinalRecord;
  #prunedHeight: number;

  private constructor(database: Database, mark: HeightMark, place: StatePlace, final: FinalRecord) {
    this.database = database;
    this.#mark = mark;
    this.#place = place;
    this.#final = final;
    this.#prunedHeight = Number(readText(database.getSync(PRUNED_KEY)) ?? 0);
    this.state = readerOver((key) => this.row(key));
    const load = (path: string) => this.database.getSync(pagesAt(this.#place) + path);
    this.page = (path) => this.#pages.get(path, load);
  }

  /**
   * Opens the ledger in `folder`, made from `genesis` when there is none. A ledger that is not whole is not opened.
   * Throws NodeError `data-in-use`, `data-damaged`, `data-of-another-chain`.
   */
  static async open(folder: string, genesis: Genesis): Promise<LedgerStore> {
    const location = ledgerLocation(folder);
    const db = await openDatabase(location);
    const damaged = (what: string): NodeError => damagedLedger(location, what);
    let mark: HeightMark | undefined;
    try {
      const stored = readText<ChainId>(db.getSync(CHAIN_KEY));
      const height = HeightMark.read(location);
      if (stored === undefined) {
        if (height > 0 || (await db.keys({ limit: 1 }).next()) !== undefined)
          throw damaged('what it begins with is missing');
        await writeGenesis(db, genesis);
      } else if (stored !== chainIdOf(genesis)) {
        throw new NodeError(
          'data-of-another-chain',
          `the ledger in ${location} belongs to another network; use another --data folder or the network file it was made with`,
        );
      }
      const record = db.getSync(FINAL_KEY);
      const final = record && decodeFinal(record);
      const block = final === undefined ? undefined : db.getSync(`b/${final.id}`);
      if (final === undefined || block === undefined)
        throw damaged('the record of the newest block is missing');
      if (final.height < height)
        throw damaged(`it ends at block ${final.height}, and block ${height} was final here before`);
      const place = readText<StatePlace>(db.getSync(PLACE_KEY)) ?? '';
      mark = new HeightMark(location);
      mark.write(final.height);
      const store = new LedgerStore(db, mark, place, final);
      const header = decodeHeader(block.subarray(0, HEADER_BYTES));
      if (storedRoot(store.page) !== header.stateRoot)
        throw damaged('the state does not match the newest block');
      return store;
    } catch (error) {
      mark?.close();
      await db.close();
      throw openError(location, error);
    }
  }

  get final(): FinalRecord {
    return this.#final;
  }

  /** Where the state in force stands. */
  get place(): StatePlace {
    return this.#place;
  }

  /** The newest final state, held as it is now until it is closed. */
  view(): StateView {
    const { database } = this;
    const snapshot = database.snapshot();
    return { database, place: this.#place, snapshot, close: () => snapshot.close() };
  }

  /** Heights from 1 up to this one have their headers only; 0 when all bodies are there. */
  get prunedHeight(): number {
    return this.#prunedHeight;
  }

  row(key: string): Uint8Array | undefined {
    return this.#rows.get(key, this.#loadRow);
  }

  header(id: BlockId): BlockHeader | undefined {
    const bytes = this.database.getSync(`b/${id}`);
    return bytes === undefined ? undefined : decodeHeader(bytes.subarray(0, HEADER_BYTES));
  }

  /** The encoded header of a stored block. */
  headerBytes(id: BlockId): Uint8Array | undefined {
    return this.database.getSync(`b/${id}`)?.slice(0, HEADER_BYTES);
  }

  /** The encoded block; `undefined` when it is not here or its body is pruned. */
  blockBytes(id: BlockId): Uint8Array | undefined {
    const bytes = this.database.getSync(`b/${id}`);
    return bytes === undefined || bytes.length === HEADER_BYTES ? undefined : bytes;
  }

  block(id: BlockId): Block | undefined {
    const bytes = this.blockBytes(id);
    return bytes === undefined ? undefined : decodeBlock(bytes);
  }

  /** The final block at a height. Those above the newest are known when a snapshot is being fetched, and not final here. */
  idAt(height: number): BlockId | undefined {
    if (height > this.#final.height) return undefined;
    const bytes = this.database.getSync(`h/${sortable(height)}`);
    return bytes === undefined ? undefined : (textOf(bytes) as BlockId);
  }

  /** Ids of all stored blocks with `from` <= height <= `to`, final and abandoned. */
  async idsBetween(from: number, to: number): Promise<readonly BlockId[]> {
    const ids: BlockId[] = [];
    for await (const key of this.database.keys({ gte: `k/${sortable(from)}`, lt: `k/${sortable(to + 1)}` })) {
      ids.push(key.slice(key.lastIndexOf('/') + 1) as BlockId);
    }
    return ids;
  }

  /** The block that ended an epoch, with what proves it. */
  boundary(epoch: number): Boundary | undefined {
    const bytes = this.boundaryBytes(epoch);
    return bytes === undefined ? undefined : decodeBoundary(bytes);
  }

  boundaryBytes(epoch: number): Uint8Array | undefined {
    return this.database.getSync(boundaryKey(epoch));
  }

  /** Stores a block that is not final. */
  async keep(block: Block): Promise<void> {
    const batch = this.database.batch();
    addBlock(batch, block, false);
    await write(this.database, batch);
  }

  /** The newest final block with another certificate. On disk when it resolves. */
  async confirm(final: FinalRecord): Promise<void> {
    await write(this.database, this.database.batch().put(FINAL_KEY, encodeFinal(final)), { sync: true });
    this.#final = final;
  }

  /** What this node must remember of its own votes; see `VotingRecord`. */
  get voting(): VotingRecord {
    return (
      readJson<VotingRecord>(this.database.getSync(VOTING_KEY)) ?? {
        logId: undefined,
        abstainEpoch: undefined,
      }
    );
  }

  /** On disk when it resolves. */
  async setVoting(record: VotingRecord): Promise<void> {
    await write(this.database, this.database.batch().put(VOTING_KEY, jsonBytes(record)), { sync: true });
  }

  /** A JSON value of the indexes. */
  index<T>(key: string): T | undefined {
    return readJson<T>(this.database.getSync(`i/${key}`));
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
    for await (const [key, value] of this.database.iterator(range)) {
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
    const base = `${rowsAt(this.#place)}${table}/`;
    const out: (readonly [string, Uint8Array])[] = [];
    for await (const [key, value] of this.database.iterator({
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
    readonly boundary: Boundary | undefined;
    readonly final: FinalRecord;
  }): Promise<void> {
    const batch = this.database.batch();
    const breather = new Breather();
    await addChanges(batch, 'i/', parts.index, breather);
    const changes = merged(parts.changes);
    const pages = merged(parts.pages);
    await this.#addRows(batch, changes, breather);
    await addChanges(batch, pagesAt(this.#place), pages, breather);
    for (const block of parts.blocks) addBlock(batch, block, true);
    for (const block of parts.abandoned) addBlock(batch, block, false);
    if (parts.boundary !== undefined)
      batch.put(boundaryKey(parts.boundary.header.epoch), encodeBoundary(parts.boundary));
    batch.put(FINAL_KEY, encodeFinal(parts.final));
    await write(this.database, batch, { sync: true });
    for (const [path, page] of pages) this.#pages.set(path, page);
    for (const [key, row] of changes) this.#rows.set(key, row);
    this.#final = parts.final;
    this.#mark.write(parts.final.height);
  }

  /** Changed rows, and in `o/` the keys of those that come or go. */
  async #addRows(batch: Batch, changes: StateChanges, breather: Breather): Promise<void> {
    const rows = rowsAt(this.#place);
    for (const [key, row] of changes) {
      if (breather.due) await breather.breathe();
      const there = this.row(key) !== undefined;
      if (row === undefined) {
        batch.del(rows + key);
        if (there) batch.del(orderKey(this.#place, key));
      } else {
        batch.put(rows + key, row);
        if (!there) batch.put(orderKey(this.#place, key), utf8(key));
      }
    }
  }

  /** Cuts the bodies off final and abandoned blocks from one height to another; their headers stay. */
  async cutBodies(from: number, to: number): Promise<void> {
    const batch = this.database.batch();
    for (const id of await this.idsBetween(from, to)) {
      const bytes = this.database.getSync(`b/${id}`);
      if (bytes !== undefined && bytes.length > HEADER_BYTES)
        batch.put(`b/${id}`, bytes.slice(0, HEADER_BYTES));
    }
    this.#pruneTo(batch, to);
    await write(this.database, batch);
  }

  /** Never lower than it was: bodies are cut while a snapshot takes the place of the state. */
  #pruneTo(batch: Batch, height: number): void {
    if (height <= this.#prunedHeight) return;
    this.#prunedHeight = height;
    batch.put(PRUNED_KEY, utf8(String(height)));
  }

  /** Makes a state that was filled in the other place the one in force; `batch` holds what goes with it. */
  async adopt(place: StatePlace, final: FinalRecord, batch: Batch): Promise<void> {
    this.#pruneTo(batch, final.height);
    batch.put(PLACE_KEY, utf8(place));
    batch.put(FINAL_KEY, encodeFinal(final));
    await write(this.database, batch, { sync: true });
    this.#rows.clear();
    this.#pages.clear();
    this.#place = place;
    this.#final = final;
    this.#mark.write(final.height);
  }

  async close(): Promise<void> {
    await this.database.close();
    this.#mark.close();
  }
}
