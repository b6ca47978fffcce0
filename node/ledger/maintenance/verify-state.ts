import type { BlockHeader } from '../../../ledger/block.ts';
import { equalBytes } from '../../../ledger/bytes.ts';
import { keyHashOf } from '../../../ledger/commitment/node-hash.ts';
import { decodePage, type Page } from '../../../ledger/commitment/page.ts';
import { type Hash, hashId } from '../../../ledger/ids.ts';
import {
  type Database,
  orderAt,
  PLACE_KEY,
  pagesAt,
  readText,
  rowsAt,
  type StatePlace,
  under,
} from '../store/ledger-database.ts';
import { buildTree, orderKey, rowsInOrder } from '../store/state-tree.ts';
import type { LedgerCheck } from './ledger-check.ts';

/** Checks the state: rows against pages against the header of the newest block, each rebuilt from the one before. */
export async function verifyState(
  db: Database,
  check: LedgerCheck,
  header: BlockHeader | undefined,
): Promise<void> {
  const { counts, onProgress } = check;
  const place = readText<StatePlace>(db.getSync(PLACE_KEY)) ?? '';
  const before = check.findings.length;
  const paths = new Set<string>();
  const damaged: string[] = [];
  const rows = async function* () {
    for await (const row of rowsInOrder(db, place)) {
      counts.rows++;
      if (hashId<Hash>(keyHashOf(row.key)) !== row.keyHash)
        check.add(`row ${row.key}`, 'it stands in a wrong place of the order');
      if (row.row === undefined) check.add(`row ${row.key}`, 'it is missing');
      if (counts.rows % 1_000 === 0) onProgress('state rows', counts.rows, counts.rows);
      yield row;
    }
  };
  const root = await buildTree(rows(), (path, rebuilt) => {
    counts.pages++;
    paths.add(path);
    const stored = db.getSync(pagesAt(place) + path);
    if (stored !== undefined && equalBytes(stored, rebuilt)) return;
    damaged.push(path);
    comparePages(db, check, place, path, stored, decodePage(rebuilt), damaged);
  });
  for await (const key of db.keys(under(pagesAt(place)))) {
    const path = key.slice(pagesAt(place).length);
    if (!paths.has(path)) check.add(`page "${path}"`, 'no rows belong to it');
  }
  let stored = 0;
  for await (const key of db.keys(under(rowsAt(place)))) {
    stored++;
    const row = key.slice(rowsAt(place).length);
    if (db.getSync(orderKey(place, row)) === undefined)
      check.add(`row ${row}`, 'it is missing in the order of the rows');
    if (stored % 2_000 === 0) onProgress('order of rows', stored, counts.rows);
  }
  if (header !== undefined && root !== header.stateRoot && check.findings.length === before)
    check.add('the state', `its root is ${root}, the header of the newest block says ${header.stateRoot}`);
}

/** Names what makes a stored page differ from the one that the rows give. `damaged`: paths of the pages that do so far. */
function comparePages(
  db: Database,
  check: LedgerCheck,
  place: StatePlace,
  path: string,
  storedBytes: Uint8Array | undefined,
  rebuilt: Page,
  damaged: readonly string[],
): void {
  const where = `page "${path}"`;
  if (storedBytes === undefined) return check.add(where, 'it is missing');
  const stored = check.read(
    where,
    () => decodePage(storedBytes),
    () => 'it cannot be read',
  );
  if (stored === undefined) return;
  const rowOf = (keyHash: Uint8Array): string => {
    const hash = hashId<Hash>(keyHash);
    return `row ${readText(db.getSync(orderAt(place) + hash)) ?? `with key hash ${hash}`}`;
  };
  for (const [nibble, slot] of stored.entries()) {
    const other = rebuilt[nibble] as Page[number];
    if (slot.kind === 'leaf' && other.kind === 'leaf' && equalBytes(slot.keyHash, other.keyHash)) {
      if (!equalBytes(slot.valueHash, other.valueHash))
        check.add(rowOf(slot.keyHash), 'it was changed: the commitment is to another value');
    } else if (slot.kind === 'leaf') check.add(rowOf(slot.keyHash), 'it is missing');
    else if (other.kind === 'leaf') check.add(rowOf(other.keyHash), 'the commitment does not have it');
    else if (slot.kind !== other.kind) check.add(where, `slot ${nibble} is not what the rows give`);
    else if (slot.kind === 'inner' && other.kind === 'inner' && !equalBytes(slot.hash, other.hash)) {
      // A difference below shows in every page above it: named once, where it is.
      const child = path + nibble.toString(16);
      if (!damaged.some((below) => below.startsWith(child)))
        check.add(where, `slot ${nibble} is not what the rows give`);
    }
  }
}
