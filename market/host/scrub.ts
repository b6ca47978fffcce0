import { equalBytes } from '../../ledger/bytes.ts';
import { type Hash, idBytes } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { jsonValue, type KeyValues } from '../interfaces.ts';
import type { FragmentShelf } from './shelf.ts';

/**
 * Reads everything that a host keeps again, slowly, and notes what is not as it was: a disk that fails shows here before an
 * auditor sees it. Nothing is deleted: a volume that is not mounted looks like one that lost everything.
 */

/** A fragment is read once in this many periods. */
const SCRUB_PERIODS = 30;
/** Rest after each fragment, so that hosting goes on. */
const REST_MS = 10;

export interface ScrubOptions {
  readonly shelf: FragmentShelf;
  readonly store: KeyValues;
  now(): number;
}

export interface ScrubOutcome {
  readonly checked: number;
  readonly damaged: number;
}

/** Whether bytes are those of a fragment. */
export function isFragment(bytes: Uint8Array, root: Hash): boolean {
  return bytes.length === FRAGMENT_BYTES && equalBytes(fragmentRoot(bytes), idBytes(root));
}

async function isIntact(shelf: FragmentShelf, root: Hash): Promise<boolean> {
  // A disk that cannot be read is the very thing that is looked for.
  const bytes = await shelf.get(root).catch(() => undefined);
  return bytes !== undefined && isFragment(bytes, root);
}

/** Checks the part of the fragments whose turn is in `period`, and again those that were damaged before. */
export async function scrub(
  { shelf, store, now }: ScrubOptions,
  period: number,
  signal: AbortSignal,
): Promise<ScrubOutcome> {
  const known = await damagedRoots(store);
  const due = new Set(known);
  for (const root of shelf.roots())
    if (Number.parseInt(root.slice(0, 8), 16) % SCRUB_PERIODS === period % SCRUB_PERIODS) due.add(root);
  let checked = 0;
  let damaged = 0;
  for (const root of due) {
    if (signal.aborted) break;
    const gone = !shelf.has(root);
    const intact = gone || (await isIntact(shelf, root));
    if (!gone) checked++;
    if (!intact) damaged++;
    if (intact === known.has(root))
      await store.write([{ key: `damaged/${root}`, value: intact ? undefined : jsonValue(now()) }]);
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
  }
  return { checked, damaged };
}

/** What scrubs found damaged and have not found whole, or gone, since. */
export async function damagedRoots(store: KeyValues): Promise<ReadonlySet<Hash>> {
  const rows = await store.range('damaged/');
  return new Set(rows.map(({ key }) => key.slice('damaged/'.length) as Hash));
}
