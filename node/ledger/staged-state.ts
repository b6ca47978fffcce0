import {
  type BlockHeader,
  blockIdOf,
  committeeHash,
  encodeHeader,
  HEADER_BYTES,
} from '../../ledger/block.ts';
import { utf8 } from '../../ledger/bytes.ts';
import { decode } from '../../ledger/codec.ts';
import type { StateRow } from '../../ledger/commitment/state-chunk.ts';
import { type Boundary, encodeBoundary } from '../../ledger/consensus/trust-chain.ts';
import type { Certificate } from '../../ledger/consensus/votes.ts';
import { demand, invariant, LedgerError } from '../../ledger/errors.ts';
import { type ContractId, type Hash, ZERO_HASH } from '../../ledger/ids.ts';
import { stateKey } from '../../ledger/state/draft.ts';
import { COMMITTEES, CONTRACTS } from '../../ledger/state/entities.ts';
import type { FinalRecord } from './final-record.ts';
import type { CertifiedHeader } from './finality.ts';
import {
  type Batch,
  type Database,
  flush,
  PRUNED_KEY,
  pagesAt,
  rowsAt,
  STRETCH,
  type StatePlace,
  sortable,
  under,
} from './ledger-database.ts';
import { IndexBatch } from './ledger-index.ts';
import { boundaryKey, type LedgerStore } from './ledger-store.ts';
import { buildTree, clearPlace, orderKey, rowsInOrder } from './state-tree.ts';

/**
 * A state that is filled beside the one in force, from rows whose chunks were checked, and takes its place in one batch.
 * A crash before that leaves the old state as it was.
 */
export class StagedState {
  readonly #store: LedgerStore;
  readonly #db: Database;
  readonly #place: StatePlace;

  private constructor(store: LedgerStore) {
    this.#store = store;
    this.#db = store.database;
    this.#place = store.place === '' ? '1' : '';
  }

  /** Clears what an earlier attempt left. */
  static async begin(store: LedgerStore): Promise<StagedState> {
    const staged = new StagedState(store);
    await clearPlace(staged.#db, staged.#place);
    return staged;
  }

  /** Takes rows in any order of chunks. */
  async add(rows: readonly StateRow[]): Promise<void> {
    const batch = this.#db.batch();
    for (const { key, row } of rows) {
      batch.put(rowsAt(this.#place) + key, row);
      batch.put(orderKey(this.#place, key), utf8(key));
    }
    await batch.write();
  }

  /** Headers below the one that will be the newest; they are not final here before `adopt`. */
  async addHeaders(headers: readonly BlockHeader[]): Promise<void> {
    const batch = this.#db.batch();
    for (const header of headers) putHeader(this.#db, batch, header);
    await batch.write();
  }

  /**
   * Builds the commitment over all rows, checks it against the header, and makes the state the one in force, with the
   * header as the newest final block. Throws LedgerError `bad-state-root`.
   */
  async adopt({ header, certificate }: CertifiedHeader, boundaries: readonly Boundary[]): Promise<void> {
    const root = await this.#build();
    if (root !== header.stateRoot)
      throw new LedgerError(
        'bad-state-root',
        `the rows give the root ${root}, the header says ${header.stateRoot}`,
      );
    const store = this.#store;
    invariant(header.height > store.final.height, 'a snapshot of the past');
    await this.#indexContracts();
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
    batch.put(PRUNED_KEY, utf8(String(header.height)));
    const before = store.place;
    await flush(this.#db);
    await store.adopt(this.#place, final, batch);
    await clearPlace(this.#db, before);
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
          await batch.write();
          batch = db.batch();
        }
        yield row;
      }
    };
    const root = await buildTree(rows(), (path, page) => batch.put(prefix + path, page));
    await batch.write();
    return root;
  }

  /** What people ask about live contracts; the past of a ledger that came as a snapshot is not known here. */
  async #indexContracts(): Promise<void> {
    const prefix = `${rowsAt(this.#place)}${CONTRACTS.name}/`;
    const index = new IndexBatch((key) => this.#store.index(key));
    let n = 0;
    for await (const [key, row] of this.#db.iterator(under(prefix)))
      index.adoptContract(
        key.slice(prefix.length) as ContractId,
        decode(CONTRACTS.codec, row, 'a contract'),
        n++,
      );
    const batch = this.#db.batch();
    for (const [key, value] of index.changes()) if (value !== undefined) batch.put(`i/${key}`, value);
    await batch.write();
  }
}

function putHeader(db: Database, batch: Batch, header: BlockHeader): void {
  const id = blockIdOf(header);
  const height = sortable(header.height);
  // A body that is here already stays.
  if ((db.getSync(`b/${id}`)?.length ?? 0) <= HEADER_BYTES) batch.put(`b/${id}`, encodeHeader(header));
  batch.put(`k/${height}/${id}`, new Uint8Array(0));
  batch.put(`h/${height}`, utf8(id));
}
