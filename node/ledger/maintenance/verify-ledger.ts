import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlock,
  decodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import { equalBytes } from '../../../ledger/bytes.ts';
import { keyHashOf } from '../../../ledger/commitment/node-hash.ts';
import { decodePage, type Page } from '../../../ledger/commitment/page.ts';
import { type Boundary, decodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { chainIdOf, type Genesis } from '../../../ledger/genesis.ts';
import { type BlockId, type ChainId, type Hash, hashId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import { checkLevelFiles } from '../../storage/level-files.ts';
import { Chain } from '../chain/chain.ts';
import { replayBlocks } from '../chain/replay.ts';
import { decodeFinal, type FinalRecord } from '../store/final-record.ts';
import { checkFromGenesis } from '../store/finality.ts';
import { HeightMark } from '../store/height-mark.ts';
import {
  CHAIN_KEY,
  type Database,
  FINAL_KEY,
  ledgerLocation,
  openError,
  openUnchecked,
  orderAt,
  PLACE_KEY,
  pagesAt,
  readText,
  refuseInUse,
  rowsAt,
  type StatePlace,
  sortable,
  under,
} from '../store/ledger-database.ts';
import { boundaryKey } from '../store/ledger-store.ts';
import { buildTree, orderKey, rowsInOrder } from '../store/state-tree.ts';

/** Checks a ledger that no node has open: files, blocks, certificate, state; and on demand that executing gives the same. */

/** One thing that is wrong. */
export interface Finding {
  /** The file, block, row or page. */
  readonly where: string;
  readonly what: string;
}

export interface VerifyReport {
  readonly height: number;
  readonly blocks: number;
  /** Blocks of which only the header is kept. */
  readonly pruned: number;
  readonly abandoned: number;
  readonly rows: number;
  readonly pages: number;
  /** Blocks that were executed again; absent when that was not asked for, or bodies are pruned, or something is wrong. */
  readonly replayed: number | undefined;
  readonly findings: readonly Finding[];
  /** Findings beyond those that are listed. */
  readonly more: number;
  readonly whatToDo: string | undefined;
}

export interface VerifyOptions {
  readonly dataFolder: string;
  readonly genesis: Genesis;
  /** The first height whose block is looked into. */
  readonly from?: number;
  /** Executes everything again from genesis, in a folder of its own beside the ledger. */
  readonly replay?: boolean;
  readonly onProgress?: (part: string, done: number, total: number) => void;
}

const FINDINGS_MAX = 100;

class Findings {
  readonly list: Finding[] = [];
  more = 0;

  add(where: string, what: string): void {
    if (this.list.length < FINDINGS_MAX) this.list.push({ where, what });
    else this.more++;
  }
}

/** Throws NodeError `data-in-use`, `data-of-another-chain`, `not-found`, as `diskError`; what is damaged is found, not thrown. */
export async function verifyLedger(options: VerifyOptions): Promise<VerifyReport> {
  const { dataFolder, genesis, onProgress = () => undefined } = options;
  const location = ledgerLocation(dataFolder);
  const findings = new Findings();
  const counts = { height: 0, blocks: 0, pruned: 0, abandoned: 0, rows: 0, pages: 0 };
  let replayed: number | undefined;
  const report = (): VerifyReport => ({
    ...counts,
    replayed,
    findings: findings.list,
    more: findings.more,
    whatToDo:
      findings.list.length === 0
        ? undefined
        : `Move ${location} away. Then start the node, which fetches the ledger from the network again, or put an export back with "blocktree ledger import FILE" before.`,
  });

  if (!existsSync(location)) throw new NodeError('not-found', `there is no ledger in ${location} yet`);
  const damages = await checkLevelFiles(location, (done, total) => onProgress('files', done, total)).catch(
    (error: unknown) => {
      throw openError(location, error);
    },
  );
  for (const { file, what } of damages) findings.add(file, what);
  if (findings.list.length > 0) {
    refuseInUse(location);
    return report();
  }
  const db = await openUnchecked(location);
  try {
    const chainId = readText<ChainId>(db.getSync(CHAIN_KEY));
    const final = finalRecord(db, findings);
    const marked = HeightMark.read(location);
    if (chainId === undefined && marked === 0 && (await db.keys({ limit: 1 }).next()) === undefined)
      throw new NodeError('not-found', `there is no ledger in ${location} yet`);
    if (chainId !== undefined && chainId !== chainIdOf(genesis))
      throw new NodeError('data-of-another-chain', `the ledger in ${location} belongs to another network`);
    if (final === undefined || chainId === undefined) {
      if (findings.list.length === 0) findings.add('the record of the newest block', 'it is missing');
      return report();
    }
    counts.height = final.height;
    if (marked > final.height)
      findings.add(
        'the newest blocks',
        `it ends at block ${final.height}, and block ${marked} was final here before`,
      );
    const headers = await checkBlocks(db, chainId, final, options.from ?? 0, counts, findings, onProgress);
    await checkState(db, headers.last, counts, findings, onProgress);
    checkCertificate(db, genesis, final, headers.last, findings);
    if (options.replay === true && findings.list.length === 0 && counts.pruned === 0)
      replayed = await replay(db, options, final, findings, onProgress);
    return report();
  } finally {
    await db.close();
  }
}

function finalRecord(db: Database, findings: Findings): FinalRecord | undefined {
  const bytes = db.getSync(FINAL_KEY);
  try {
    return bytes && decodeFinal(bytes);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add('the record of the newest block', error.message);
    return undefined;
  }
}

type Counts = { blocks: number; pruned: number; abandoned: number; rows: number; pages: number };
type Progress = NonNullable<VerifyOptions['onProgress']>;

/** Final blocks by height, each the child of the one before; then those beside them. */
async function checkBlocks(
  db: Database,
  chainId: ChainId,
  final: FinalRecord,
  from: number,
  counts: Counts,
  findings: Findings,
  onProgress: Progress,
): Promise<{ last: BlockHeader | undefined }> {
  let last: BlockHeader | undefined;
  let previous: { id: BlockId; header: BlockHeader } | undefined;
  const isFinal = new Set<BlockId>();
  for (let height = Math.min(from, final.height); height <= final.height; height++) {
    const where = `block ${height}`;
    const id = readText<BlockId>(db.getSync(`h/${sortable(height)}`));
    const header = id === undefined ? undefined : checkBlock(db, id, where, counts, findings);
    if (id === undefined) findings.add(where, 'which block is final at this height is not recorded');
    else isFinal.add(id);
    if (id !== undefined && header !== undefined) {
      if (header.height !== height) findings.add(where, `its header says height ${header.height}`);
      if (header.chainId !== chainId) findings.add(where, 'it is of another chain');
      if (previous !== undefined && header.parentId !== previous.id)
        findings.add(where, 'it does not follow the block before it');
      if (previous !== undefined && header.timestampMs <= previous.header.timestampMs)
        findings.add(where, 'it is not later than the block before it');
      if (db.getSync(`k/${sortable(height)}/${id}`) === undefined)
        findings.add(where, 'it is missing in the list of blocks by height');
    }
    previous = id === undefined || header === undefined ? undefined : { id, header };
    last = header;
    counts.blocks++;
    if (height % 200 === 0) await breathe(() => onProgress('blocks', height, final.height));
  }
  if (previous === undefined || previous.id !== final.id)
    findings.add(`block ${final.height}`, 'it is not the one that is recorded as the newest');
  for await (const key of db.keys({ gte: `k/${sortable(from)}`, lt: 'k0' })) {
    const id = key.slice(key.lastIndexOf('/') + 1) as BlockId;
    if (isFinal.has(id)) continue;
    counts.abandoned++;
    checkBlock(db, id, `block ${id}, which is not final`, counts, findings);
  }
  return { last };
}

/** That the bytes under an id are that block, body and all. */
function checkBlock(
  db: Database,
  id: BlockId,
  where: string,
  counts: Counts,
  findings: Findings,
): BlockHeader | undefined {
  const bytes = db.getSync(`b/${id}`);
  if (bytes === undefined) {
    findings.add(where, 'it is missing');
    return undefined;
  }
  try {
    const header = decodeHeader(bytes.subarray(0, HEADER_BYTES));
    if (blockIdOf(header) !== id) findings.add(where, 'its header was changed: it has another id');
    if (bytes.length === HEADER_BYTES) counts.pruned++;
    else decodeBlock(bytes);
    return header;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add(where, `it was changed: ${error.message}`);
    return undefined;
  }
}

/** Rows against pages against the header, each rebuilt from the one before. */
async function checkState(
  db: Database,
  header: BlockHeader | undefined,
  counts: Counts,
  findings: Findings,
  onProgress: Progress,
): Promise<void> {
  const place = readText<StatePlace>(db.getSync(PLACE_KEY)) ?? '';
  const before = findings.list.length;
  const damagedPaths: string[] = [];
  const paths = new Set<string>();
  const rows = async function* () {
    for await (const row of rowsInOrder(db, place)) {
      counts.rows++;
      if (hashId<Hash>(keyHashOf(row.key)) !== row.keyHash)
        findings.add(`row ${row.key}`, 'it stands in a wrong place of the order');
      if (row.row === undefined) findings.add(`row ${row.key}`, 'it is missing');
      if (counts.rows % 1_000 === 0) onProgress('state rows', counts.rows, counts.rows);
      yield row;
    }
  };
  const root = await buildTree(rows(), (path, rebuilt) => {
    counts.pages++;
    paths.add(path);
    const stored = db.getSync(pagesAt(place) + path);
    if (stored !== undefined && equalBytes(stored, rebuilt)) return;
    damagedPaths.push(path);
    comparePages(db, place, path, stored, decodePage(rebuilt), damagedPaths, findings);
  });
  for await (const key of db.keys(under(pagesAt(place)))) {
    const path = key.slice(pagesAt(place).length);
    if (!paths.has(path)) findings.add(`page "${path}"`, 'no rows belong to it');
  }
  let stored = 0;
  for await (const key of db.keys(under(rowsAt(place)))) {
    stored++;
    if (db.getSync(orderKey(place, key.slice(rowsAt(place).length))) === undefined)
      findings.add(`row ${key.slice(rowsAt(place).length)}`, 'it is missing in the order of the rows');
    if (stored % 2_000 === 0) onProgress('order of rows', stored, counts.rows);
  }
  if (header !== undefined && root !== header.stateRoot && findings.list.length === before)
    findings.add('the state', `its root is ${root}, the header of the newest block says ${header.stateRoot}`);
}

/** Names what makes a stored page differ from the one that the rows give. */
function comparePages(
  db: Database,
  place: StatePlace,
  path: string,
  storedBytes: Uint8Array | undefined,
  rebuilt: Page,
  damagedPaths: readonly string[],
  findings: Findings,
): void {
  const where = `page "${path}"`;
  if (storedBytes === undefined) {
    findings.add(where, 'it is missing');
    return;
  }
  let stored: Page;
  try {
    stored = decodePage(storedBytes);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add(where, 'it cannot be read');
    return;
  }
  const rowOf = (keyHash: Uint8Array): string => {
    const hash = hashId<Hash>(keyHash);
    return `row ${readText(db.getSync(orderAt(place) + hash)) ?? `with key hash ${hash}`}`;
  };
  for (const [nibble, slot] of stored.entries()) {
    const other = rebuilt[nibble] as Page[number];
    if (slot.kind === 'leaf' && other.kind === 'leaf' && equalBytes(slot.keyHash, other.keyHash)) {
      if (!equalBytes(slot.valueHash, other.valueHash))
        findings.add(rowOf(slot.keyHash), 'it was changed: the commitment is to another value');
    } else if (slot.kind === 'leaf') findings.add(rowOf(slot.keyHash), 'it is missing');
    else if (other.kind === 'leaf') findings.add(rowOf(other.keyHash), 'the commitment does not have it');
    else if (slot.kind !== other.kind) findings.add(where, `slot ${nibble} is not what the rows give`);
    else if (slot.kind === 'inner' && other.kind === 'inner' && !equalBytes(slot.hash, other.hash)) {
      // A difference below shows in every page above it: named once, where it is.
      const child = path + nibble.toString(16);
      if (!damagedPaths.some((damaged) => damaged.startsWith(child)))
        findings.add(where, `slot ${nibble} is not what the rows give`);
    }
  }
}

/** The newest block from genesis on, committee by committee. */
function checkCertificate(
  db: Database,
  genesis: Genesis,
  final: FinalRecord,
  header: BlockHeader | undefined,
  findings: Findings,
): void {
  const { certificate } = final;
  if (certificate === undefined || header === undefined) return;
  try {
    const boundaries: Boundary[] = [];
    for (let epoch = 0; epoch < certificate.epoch; epoch++) {
      const bytes = db.getSync(boundaryKey(epoch));
      if (bytes === undefined) {
        findings.add(`the last block of epoch ${epoch}`, 'what proves it is missing');
        return;
      }
      boundaries.push(decodeBoundary(bytes));
    }
    checkFromGenesis(genesis, boundaries, { header, certificate });
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add('the certificate of the newest block', error.message);
  }
}

/** Executes all blocks again on a fresh ledger; gives how many. */
async function replay(
  db: Database,
  { dataFolder, genesis }: VerifyOptions,
  final: FinalRecord,
  findings: Findings,
  onProgress: Progress,
): Promise<number> {
  const folder = join(dataFolder, 'ledger-replay');
  await rm(folder, { recursive: true, force: true });
  const chain = await Chain.open(folder, genesis);
  try {
    const blocks = async function* () {
      for (let height = 1; height <= final.height; height++) {
        const id = readText<BlockId>(db.getSync(`h/${sortable(height)}`));
        yield decodeBlock(db.getSync(`b/${id}`) as Uint8Array);
      }
    };
    await replayBlocks(chain, blocks(), {
      onHeight: (height) => onProgress('replay', height, final.height),
    });
    if (chain.final.id !== final.id) findings.add('replay', 'it ends in another block');
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add(
      `block ${chain.final.height + 1} or a few above it`,
      `executing it again fails: ${error.message}`,
    );
  } finally {
    await chain.close();
    await rm(folder, { recursive: true, force: true });
  }
  return chain.final.height;
}

async function breathe(then: () => void): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  then();
}
