import { fromHex, toHex } from '../../../ledger/bytes.ts';
import { hashOf, keyHashOf, valueHashOf } from '../../../ledger/commitment/node-hash.ts';
import type { StateRow } from '../../../ledger/commitment/state-chunk.ts';
import { TreeBuilder } from '../../../ledger/commitment/tree-builder.ts';
import { type Hash, hashId } from '../../../ledger/ids.ts';
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

/** Rows that are read at a time. */
const ROWS_READ = 512;

/** The rows of a state in the order of the commitment tree, from a key hash on. */
export async function* rowsInOrder(
  db: Database,
  place: StatePlace,
  from = '',
  snapshot?: DatabaseSnapshot,
): AsyncGenerator<OrderedRow> {
  const prefix = orderAt(place);
  const options = snapshot === undefined ? {} : { snapshot };
  const order = db.iterator({ ...under(prefix), gte: prefix + from, ...options });
  try {
    for (;;) {
      const entries = await order.nextv(ROWS_READ);
      if (entries.length === 0) return;
      const keys = entries.map(([, value]) => readText(value) as string);
      // Rows lie in the order of their keys, not of the hashes: read aside, many at a time.
      const rows = await db.getMany(
        keys.map((key) => rowsAt(place) + key),
        options,
      );
      for (const [i, [at]] of entries.entries())
        yield { keyHash: at.slice(prefix.length), key: keys[i] as string, row: rows[i] };
    }
  } finally {
    await order.close();
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
