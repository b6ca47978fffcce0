import { toHex } from '../../../ledger/bytes.ts';
import { FIRST_KEY, type KeyRange, proveRange } from '../../../ledger/commitment/range-proof.ts';
import {
  CHUNK_ROWS_BYTES_MAX,
  CHUNK_ROWS_MAX,
  chunkRowBytes,
  encodeChunk,
  type StateRow,
} from '../../../ledger/commitment/state-chunk.ts';
import { pagesAt, type StateView } from './ledger-database.ts';
import type { LedgerStore } from './ledger-store.ts';
import { isPresent, rowsInOrder } from './state-tree.ts';

/** Cutting a stored state into chunks that prove themselves. */

/** One chunk of the rows from `from` on, up to `to` at most or as many as fit; and where the next begins. */
export async function cutChunk(
  { database, place, snapshot }: StateView,
  range: KeyRange,
): Promise<{ readonly bytes: Uint8Array; readonly to: string | undefined }> {
  const rows: StateRow[] = [];
  let bytes = 0;
  let { to } = range;
  for await (const row of rowsInOrder(database, place, range.from, snapshot)) {
    if (range.to !== undefined && row.keyHash >= range.to) break;
    if (!isPresent(row)) continue;
    bytes += chunkRowBytes(row);
    if (rows.length > 0 && (bytes > CHUNK_ROWS_BYTES_MAX || rows.length === CHUNK_ROWS_MAX)) {
      to = row.keyHash;
      break;
    }
    rows.push({ key: row.key, row: row.row });
  }
  const pages = proveRange((path) => database.getSync(pagesAt(place) + path, { snapshot }), { ...range, to });
  return {
    bytes: encodeChunk({
      from: range.from,
      to,
      rows,
      pages: [...pages].map(([path, page]) => ({ path, page })),
    }),
    to,
  };
}

/** All chunks of the newest final state, and how much of it each completes (0 to 1). */
export async function* cutChunks(
  store: LedgerStore,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly done: number }> {
  const view = store.view();
  try {
    for (let from: string | undefined = FIRST_KEY; from !== undefined; ) {
      const chunk: Awaited<ReturnType<typeof cutChunk>> = await cutChunk(view, { from, to: undefined });
      yield { bytes: chunk.bytes, done: positionOf(chunk.to) };
      from = chunk.to;
    }
  } finally {
    await view.close();
  }
}

/** Where a key lies between the first (0) and the end (1). */
export function positionOf(key: string | undefined): number {
  return key === undefined ? 1 : Number.parseInt(key.slice(0, 8), 16) / 2 ** 32;
}

/** The key space in `parts` ranges of the same width; at most 256. */
export function splitKeys(parts: number): readonly KeyRange[] {
  const edge = (part: number): string =>
    toHex(Uint8Array.of(Math.floor((256 * part) / parts))).padEnd(64, '0');
  return Array.from({ length: parts }, (_, part) => ({
    from: edge(part),
    to: part + 1 === parts ? undefined : edge(part + 1),
  }));
}
