import { ApiError } from './problem.ts';

/** Lists in pages: a cursor names the last item of the page before, so that pages stay whole while the list grows. */

const PAGE_ITEMS = 50;

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

/** One page of what `read` gives after a cursor, which is asked for one row more than is shown to learn whether there is another page. */
export async function pageOf<Row, Item>(
  { cursor, limit = PAGE_ITEMS }: PageRequest,
  form: RegExp,
  read: (after: string | undefined, limit: number) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
  present: (row: Row) => Item | undefined,
): Promise<PageOf<Item>> {
  const rows = await read(checkedCursor(cursor, form), limit + 1);
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return {
    items: shown.flatMap((row) => present(row) ?? []),
    nextCursor: last === undefined ? null : keyOf(last),
  };
}
