import { ApiError } from './problem.ts';

/** Lists in pages: a cursor names the last item of the page before, so that pages stay whole while the list grows. */

const PAGE_ITEMS = 50;
/** Rows that are looked at for one page, shown or left out. */
const ROWS_READ_MAX = 2_000;

export interface PageRequest {
  readonly cursor?: string;
  readonly limit?: number;
}

export interface PageOf<Item> {
  items: Item[];
  nextCursor: string | null;
}

/** The cursor, when it is one that a page gave out. Throws ApiError `bad-cursor`. */
export function checkedCursor(cursor: string | undefined, form: RegExp): string | undefined {
  if (cursor !== undefined && !form.test(cursor))
    throw new ApiError(400, 'bad-cursor', 'expected the nextCursor of the page before');
  return cursor;
}

/**
 * One page of what `read` gives after a cursor. A row that `present` makes nothing of is left out; the page then goes on
 * with later rows, and may be short, or empty, with a cursor, where very many are left out.
 */
export async function pageOf<Row, Item>(
  { cursor, limit = PAGE_ITEMS }: PageRequest,
  form: RegExp,
  read: (after: string | undefined, limit: number) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
  present: (row: Row) => Item | undefined,
): Promise<PageOf<Item>> {
  const items: Item[] = [];
  let after = checkedCursor(cursor, form);
  for (let seen = 0; ; ) {
    // One more than is wanted tells whether there is another page.
    const rows = await read(after, limit + 1);
    for (const row of rows) {
      if (items.length === limit) return { items, nextCursor: after ?? null };
      const item = present(row);
      if (item !== undefined) items.push(item);
      after = keyOf(row);
    }
    if (rows.length <= limit) return { items, nextCursor: null };
    seen += rows.length;
    if (seen >= ROWS_READ_MAX) return { items, nextCursor: after ?? null };
  }
}
