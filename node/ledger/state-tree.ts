import { fromHex, toHex } from '../../ledger/bytes.ts';
import { hashOf, keyHashOf, valueHashOf } from '../../ledger/commitment/node-hash.ts';
import type { StateRow } from '../../ledger/commitment/state-chunk.ts';
import { TreeBuilder } from '../../ledger/commitment/tree-builder.ts';
import { type Hash, hashId } from '../../ledger/ids.ts';
import {
  type Database,
  type DatabaseSnapshot,
  orderAt,
  pagesAt,
  readText,
  rowsAt,
  type StatePlace,
  under,
} from './ledger-database.ts';

/** A row and its place in the commitment tree, in hex; `row` is absent where only its key is left. */
export interface OrderedRow {
  readonly keyHash: string;
  readonly key: string;
  readonly row: Uint8Array | undefined;
}

/** The rows of a state in the order of the commitment tree, from a key hash on. */
export async function* rowsInOrder(
  db: Database,
  place: StatePlace,
  from = '',
  snapshot?: DatabaseSnapshot,
): AsyncGenerator<OrderedRow> {
  const prefix = orderAt(place);
  const options = { ...under(prefix), gte: prefix + from, ...(snapshot === undefined ? {} : { snapshot }) };
  const get = snapshot === undefined ? {} : { snapshot };
  for await (const [order, value] of db.iterator(options)) {
    const key = readText(value) as string;
    yield { keyHash: order.slice(prefix.length), key, row: db.getSync(rowsAt(place) + key, get) };
  }
}

/** Builds the commitment tree from rows in its order; gives the root, and the pages as they are complete. */
export async function buildTree(
  rows: AsyncIterable<OrderedRow>,
  onPage: (path: string, page: Uint8Array) => void,
): Promise<Hash> {
  const builder = new TreeBuilder('', onPage);
  for await (const { keyHash, row } of rows)
    if (row !== undefined) builder.add(fromHex(keyHash) as Uint8Array, valueHashOf(row));
  return hashId<Hash>(hashOf(builder.finish()));
}

/** The key under which a row's key stands in `o/`. */
export function orderKey(place: StatePlace, key: string): string {
  return orderAt(place) + toHex(keyHashOf(key));
}

/** A row as a chunk carries it. */
export function isPresent(row: OrderedRow): row is OrderedRow & StateRow {
  return row.row !== undefined;
}

/** Removes a state that is not in force. */
export async function clearPlace(db: Database, place: StatePlace): Promise<void> {
  for (const prefix of [rowsAt(place), orderAt(place), pagesAt(place)]) await db.clear(under(prefix));
}
