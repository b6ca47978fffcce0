import {
  type BlockHeader,
  blockIdOf,
  committeeHash,
  encodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { decode } from '../../../ledger/codec.ts';
import type { KeyRange } from '../../../ledger/commitment/range-proof.ts';
import type { StateRow } from '../../../ledger/commitment/state-chunk.ts';
import { type Boundary, encodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { demand, invariant, LedgerError } from '../../../ledger/errors.ts';
import { type ContractId, type Hash, ZERO_HASH } from '../../../ledger/ids.ts';
import { stateKey } from '../../../ledger/state/draft.ts';
import { COMMITTEES, CONTRACTS } from '../../../ledger/state/entities.ts';
import type { FinalRecord } from './final-record.ts';
import type { CertifiedHeader } from './finality.ts';
import {
  type Batch,
  type Database,
  flush,
  pagesAt,
  rowsAt,
  STRETCH,
  type StatePlace,
  sortable,
  under,
  write,
} from './ledger-database.ts';
import { IndexBatch } from './ledger-index.ts';
import { boundaryKey, type LedgerStore } from './ledger-store.ts';
import { dropProgress, putProgress, readProgress } from './staged-progress.ts';
import { buildTree, clearPlace, orderKey, rowsInOrder } from './state-tree.ts';

/** Set while the contracts of a state that was adopted are not all indexed. */
const UNINDEXED_KEY = 'm/unindexed';
/** Contracts that are indexed at a time. */
const CONTRACTS_INDEXED = 1_000;

/**
 * A state that is filled beside the one in force, from rows whose chunks were checked, and takes its place in one batch.
 * A crash before that leaves the state in force as it was, and what was filled so far to go on from.
 */
export class StagedState {
  readonly target: CertifiedHeader;
  readonly #store: LedgerStore;
  readonly #db: Database;
  readonly #place: StatePlace;
  #missing: readonly KeyRange[];
  /** One batch after another, so that progress is never ahead of the rows that it speaks of. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(store: LedgerStore, target: CertifiedHeader, missing: readonly KeyRange[]) {
    this.#store = store;
    this.#db = store.database;
    this.#place = otherPlace(store);
    this.target = target;
    this.#missing = missing;
  }

  /** The state that an attempt before this one was after, when it can be gone on with. */
  static begun(store: LedgerStore): StagedState | undefined {
    const progress = readProgress(store.database);
    if (progress === undefined || progress.target.header.height <= store.final.height) return undefined;
    return new StagedState(store, progress.target, progress.missing);
  }

  /** Clears what an earlier attempt left. `ranges`: all keys, in as many parts as are fetched side by side. */
  static async begin(
    store: LedgerStore,
    target: CertifiedHeader,
    ranges: readonly KeyRange[],
  ): Promise<StagedState> {
    const staged = new StagedState(store, target, ranges);
    await staged.discard();
    return staged;
  }

  /** At the start: clears what nobody can go on with, and finishes what a crash cut off behind `adopt`. */
  static async tidy(store: LedgerStore): Promise<void> {
    const staged = StagedState.begun(store);
    if (staged === undefined) await clearStaged(store);
    if (store.database.getSync(UNINDEXED_KEY) !== undefined) await indexContracts(store);
  }

  /** What is still to come. */
  get missing(): readonly KeyRange[] {
    return this.#missing;
  }

  /** Takes the rows with which a part that is missing begins; `to`: where they end. */
  add(part: KeyRange, to: string | undefined, rows: readonly StateRow[]): Promise<void> {
    invariant(this.#missing.includes(part), 'rows that are not missing');
    this.#writing = this.#writing.then(async () => {
      const batch = this.#db.batch();
      for (const { key, row } of rows) {
        batch.put(rowsAt(this.#place) + key, row);
        batch.put(orderKey(this.#place, key), utf8(key));
      }
      const rest = to === undefined || to === part.to ? [] : [{ from: to, to: part.to }];
      const missing = this.#missing.flatMap((other) => (other === part ? rest : [other]));
      putProgress(batch, { target: this.target, missing });
      await write(this.#db, batch);
      this.#missing = missing;
    });
    return this.#writing;
  }

  /** Headers below the target; they are not final here before `adopt`. */
  async addHeaders(headers: readonly BlockHeader[]): Promise<void> {
    const batch = this.#db.batch();
    for (const header of headers) putHeader(this.#db, batch, header);
    await write(this.#db, batch);
  }

  /** Gives up what was filled so far. */
  async discard(): Promise<void> {
    await clearStaged(this.#store);
  }

  /**
   * Builds the commitment over all rows and checks it against the header: what stands on disk, not what came in. Throws
   * LedgerError `bad-state-root`, and what was filled is given up.
   */
  async complete(): Promise<void> {
    invariant(this.#missing.length === 0, 'parts of the state are missing');
    const root = await this.#build();
    const { stateRoot } = this.target.header;
    if (root === stateRoot) return;
    await this.discard();
    throw new LedgerError('bad-state-root', `the rows give the root ${root}, the header says ${stateRoot}`);
  }

  /** Makes the completed state the one in force, with its header as the newest final block. */
  async adopt(boundaries: readonly Boundary[]): Promise<void> {
    const { header, certificate } = this.target;
    const store = this.#store;
    invariant(header.height > store.final.height, 'a snapshot of the past');
    const final: FinalRecord = {
      id: blockIdOf(header),
      height: header.height,
      epoch: certificate.epoch,
      view: certificate.view,
      timestampMs: header.timestampMs,
      certificate,
    };
    const batch = this.#db.batch();
    putHeader(this.#db, batch, header);
    for (const boundary of [...boundaries, ...this.#boundaryAt(header, certificate)])
      batch.put(boundaryKey(boundary.header.epoch), encodeBoundary(boundary));
    batch.put(UNINDEXED_KEY, new Uint8Array(0));
    dropProgress(batch);
    await flush(this.#db);
    await store.adopt(this.#place, final, batch);
    await clearStaged(store);
    await indexContracts(store);
  }

  /** The newest block as a boundary, when it is one: the state says who comes next. */
  #boundaryAt(header: BlockHeader, certificate: Certificate): readonly Boundary[] {
    if (header.nextCommitteeHash === ZERO_HASH) return [];
    const row = this.#db.getSync(rowsAt(this.#place) + stateKey(COMMITTEES, String(header.epoch + 1)));
    const nextSeats = row && decode(COMMITTEES.codec, row, 'a committee').seats;
    demand(
      nextSeats !== undefined && committeeHash(nextSeats) === header.nextCommitteeHash,
      'bad-block',
      'the header names another committee than the state',
    );
    return [{ header, certificate, nextSeats }];
  }

  async #build(): Promise<Hash> {
    let batch = this.#db.batch();
    const prefix = pagesAt(this.#place);
    const db = this.#db;
    const place = this.#place;
    const rows = async function* () {
      for await (const row of rowsInOrder(db, place)) {
        if (batch.length >= STRETCH) {
          await write(db, batch);
          batch = db.batch();
        }
        yield row;
      }
    };
    const root = await buildTree(rows(), (path, page) => batch.put(prefix + path, page));
    await write(this.#db, batch);
    return root;
  }
}

/** The place of the state that is not in force. */
function otherPlace({ place }: LedgerStore): StatePlace {
  return place === '' ? '1' : '';
}

async function clearStaged(store: LedgerStore): Promise<void> {
  const batch = store.database.batch();
  dropProgress(batch);
  await write(store.database, batch);
  await clearPlace(store.database, otherPlace(store));
}

/**
 * What people ask about live contracts; the past of a ledger that came as a snapshot is not known here. Once it is in force,
 * in steps each of which may be done again: no block is executed before the last one.
 */
async function indexContracts(store: LedgerStore): Promise<void> {
  const { database } = store;
  const prefix = `${rowsAt(store.place)}${CONTRACTS.name}/`;
  let index = new IndexBatch((key) => store.index(key));
  let n = 0;
  const writeIndex = async (): Promise<void> => {
    const batch = database.batch();
    for (const [key, value] of index.changes()) if (value !== undefined) batch.put(`i/${key}`, value);
    await write(database, batch);
    index = new IndexBatch((key) => store.index(key));
  };
  for await (const [key, row] of database.iterator(under(prefix))) {
    const id = key.slice(prefix.length) as ContractId;
    index.adoptContract(id, decode(CONTRACTS.codec, row, 'a contract'), n++);
    if (n % CONTRACTS_INDEXED === 0) await writeIndex();
  }
  await writeIndex();
  await flush(database);
  await write(database, database.batch().del(UNINDEXED_KEY), { sync: true });
}

function putHeader(db: Database, batch: Batch, header: BlockHeader): void {
  const id = blockIdOf(header);
  const height = sortable(header.height);
  // A body that is here already stays.
  if ((db.getSync(`b/${id}`)?.length ?? 0) <= HEADER_BYTES) batch.put(`b/${id}`, encodeHeader(header));
  batch.put(`k/${height}/${id}`, new Uint8Array(0));
  batch.put(`h/${height}`, utf8(id));
}
