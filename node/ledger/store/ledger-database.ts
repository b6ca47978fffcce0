import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ChainedBatch, Level } from 'level';
import { textOf } from '../../../ledger/bytes.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { NodeError } from '../../errors.ts';
import { diskError } from '../../storage/disk-error.ts';
import { checkLevelFiles } from '../../storage/level-files.ts';
import { isOpenSomewhere } from '../../storage/level-lock.ts';

/**
 * The ledger's LevelDB. Key spaces by prefix: `s/` state rows, `o/` their keys in the order of the commitment tree, `p/`
 * commitment pages (these three with a digit behind the letter when a snapshot has replaced the state), `b/` blocks by id
 * (of old ones only the header, where bodies are pruned), `h/` final block ids by height, `k/` all blocks by height,
 * `i/` indexes (JSON), `m/` the rest.
 */
export type Database = Level<string, Uint8Array>;
/** The database as it was at one moment, while it goes on. */
export type DatabaseSnapshot = ReturnType<Database['snapshot']>;

/** Operations one by one: ten times faster than an array of them, which the library clones. */
export type Batch = ChainedBatch<Database, string, Uint8Array>;

export const FINAL_KEY = 'm/final';
export const CHAIN_KEY = 'm/chain';
/** Which of the two places of the state is in force. */
export const PLACE_KEY = 'm/state';
/** Every body up to this height is pruned. */
export const PRUNED_KEY = 'm/pruned';
/** Operations of one batch where much is written that need not be atomic. */
export const STRETCH = 5_000;

/** The two places where a state can stand: one is in force, the other is filled by a snapshot. */
export type StatePlace = '' | '1';

/** Where the parts of a state stand. */
export const rowsAt = (place: StatePlace): string => `s${place}/`;
export const orderAt = (place: StatePlace): string => `o${place}/`;
export const pagesAt = (place: StatePlace): string => `p${place}/`;

/** A state to read from, as it was at one moment; it stays so until it is closed. */
export interface StateView {
  readonly database: Database;
  readonly place: StatePlace;
  readonly snapshot: DatabaseSnapshot;
  close(): Promise<void>;
}

/** All keys of a prefix that ends in a slash. */
export function under(prefix: string): { gte: string; lt: string } {
  return { gte: prefix, lt: `${prefix.slice(0, -1)}0` };
}

/** Fixed-width decimal so that keys sort as numbers. */
export function sortable(value: number, width = 12): string {
  return String(value).padStart(width, '0');
}

/** A JSON value as bytes; amounts are decimal strings in it. */
export function jsonBytes(value: unknown): Uint8Array {
  // Out of Node's pool: a buffer of its own for each of thousands costs the garbage collector dearly.
  return Buffer.from(JSON.stringify(value));
}

export function readJson<T>(bytes: Uint8Array | undefined): T | undefined {
  return bytes === undefined ? undefined : (JSON.parse(textOf(bytes)) as T);
}

export function readText<T extends string>(bytes: Uint8Array | undefined): T | undefined {
  return bytes === undefined ? undefined : (textOf(bytes) as T);
}

/** The folder of the ledger in a data folder. */
export function ledgerLocation(dataFolder: string): string {
  return join(dataFolder, 'ledger');
}

/** Opens LevelDB once its files are known to be whole. Throws NodeError `data-in-use`, `data-damaged`, and as `diskError`. */
export async function openDatabase(location: string): Promise<Database> {
  const [damage] = await checkLevelFiles(location).catch((error: unknown) => {
    throw openError(location, error);
  });
  if (damage !== undefined) refuseInUse(location);
  if (damage !== undefined) throw damagedLedger(location, `${damage.file}: ${damage.what}`);
  return openUnchecked(location);
}

/** The files of a database that is open change under whoever reads them: no word on them is true. Throws NodeError `data-in-use`. */
export function refuseInUse(location: string): void {
  if (isOpenSomewhere(location))
    throw new NodeError('data-in-use', `another process uses ${location}; stop it first`);
}

const CACHE_BYTES = 24 * 1_048_576;
/**
 * Written to the journal at once, and sorted into tables when so much has come together: pages near the root of the
 * commitment, which every block writes again, then go there once for several blocks.
 */
const WRITE_BUFFER_BYTES = 16 * 1_048_576;

/** Opens LevelDB as it is. Throws NodeError `data-in-use`, `data-damaged`, and as `diskError`. */
export async function openUnchecked(location: string): Promise<Database> {
  try {
    mkdirSync(location, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw openError(location, error);
  }
  const db = new Level<string, Uint8Array>(location, {
    valueEncoding: 'view',
    cacheSize: CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  });
  try {
    await db.open();
    return db;
  } catch (error) {
    throw openError(location, error);
  }
}

/**
 * Everything written so far is on disk when it resolves. A synced batch alone does not do that for batches before it that
 * went to an earlier journal.
 */
export async function flush(db: Database): Promise<void> {
  // Compacting a range, however small, first writes what is in memory to a synced table.
  await (db as unknown as { compactRange(from: string, to: string): Promise<void> }).compactRange('m/', 'm/');
}

/** What is damaged, and the ways out of it. */
export function damagedLedger(location: string, what: string): NodeError {
  return new NodeError(
    'data-damaged',
    `the ledger in ${location} is damaged: ${what}. "blocktree ledger verify" lists all that is wrong. To go on, move this folder away; then start, and the ledger is fetched from the network again, or put an export back with "blocktree ledger import FILE" before`,
  );
}

/** What opening failed for, in words that say what to do; what is no trouble of the disk or the files stays as it is. */
export function openError(location: string, error: unknown): unknown {
  const refused = diskError(location, error);
  if (refused !== undefined) return refused;
  if (error instanceof LedgerError || error instanceof SyntaxError)
    return damagedLedger(location, error.message);
  const cause =
    (error as Error).cause instanceof Error ? ((error as Error).cause as Error) : (error as Error);
  const { code = '', syscall } = cause as NodeJS.ErrnoException;
  if (code === 'LEVEL_LOCKED')
    return new NodeError('data-in-use', `another process uses ${location}; stop it first`, { cause });
  return syscall !== undefined || code.startsWith('LEVEL_') ? damagedLedger(location, cause.message) : error;
}

/** Databases that a write failed in, and why. */
const failed = new WeakMap<Database, NodeError>();

/**
 * Writes a batch. After one that failed, as on a full disk, no other is tried: behind half a record in the journal it would
 * be lost, or make the rest of the journal look damaged. Throws NodeError as `diskError`, else `data-damaged`.
 */
export async function write(db: Database, batch: Batch, options: { sync?: boolean } = {}): Promise<void> {
  const before = failed.get(db);
  if (before !== undefined) throw before;
  try {
    await batch.write(options);
  } catch (error) {
    const refused = diskError(db.location, error) ?? damagedLedger(db.location, (error as Error).message);
    failed.set(db, refused);
    throw refused;
  }
}
