import { open, readdir, readFile, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { journalDamage, type LiveFiles, liveFiles, readLog, tableDamage } from './level-format.ts';
import { isOpenSomewhere } from './level-lock.ts';

/** Whether the files of a LevelDB folder are all there and whole: to be asked before LevelDB opens it and makes the best of it. */

/** A file that is missing or damaged, and how. */
export interface FileDamage {
  readonly file: string;
  readonly what: string;
}

/**
 * Reads every file of a database that nobody has open. Nothing is found in a folder that is empty or not there. Where the
 * newest journal has a gap, nothing behind that was synced: it is cut off there, since LevelDB would skip the gap and go on.
 * `onRead` is told of bytes read and of bytes in all.
 */
export async function checkLevelFiles(
  folder: string,
  onRead: (doneBytes: number, totalBytes: number) => void = () => undefined,
): Promise<readonly FileDamage[]> {
  const names: readonly string[] = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const damages: FileDamage[] = [];
  const add = (file: string, what: string | undefined): void => {
    if (what !== undefined) damages.push({ file: join(folder, file), what });
  };

  if (!names.includes('CURRENT')) {
    // A first start that was cut off leaves a manifest and nothing that it could speak of.
    if (names.some((name) => /\.(ldb|sst|log)$/.test(name))) add('CURRENT', 'it is missing');
    return damages;
  }
  const pointer = await readFile(join(folder, 'CURRENT'), 'latin1');
  const current = pointer.trim();
  if (!/^MANIFEST-\d+$/.test(current) || !names.includes(current)) {
    add('CURRENT', `it names the manifest "${current.slice(0, 40)}", which is not there`);
    return damages;
  }
  // LevelDB insists on the end of the line.
  if (pointer !== `${current}\n`) {
    add('CURRENT', 'it was changed or cut off');
    return damages;
  }
  const manifest = readLog(await readFile(join(folder, current)));
  let live: LiveFiles;
  try {
    live = liveFiles(manifest.records);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    add(current, `it cannot be read: ${error.message}`);
    return damages;
  }
  add(current, manifest.records.length === 0 ? 'it holds nothing' : manifest.damage);

  if (live.journal === 0 && (await isBlank(folder, names))) return damages;

  const number = (name: string): number => Number(/^(\d+)\./.exec(name)?.[1] ?? -1);
  const journals = names
    .filter((name) => name.endsWith('.log') && number(name) >= live.journal)
    .sort((a, b) => number(a) - number(b));
  if (!journals.some((name) => number(name) === live.journal))
    add(`${String(live.journal).padStart(6, '0')}.log`, 'it is missing');
  for (const journal of journals) {
    const { records, damage, gapAt } = readLog(await readFile(join(folder, journal)));
    const isCut = gapAt !== undefined && journal === journals.at(-1) && !isOpenSomewhere(folder);
    if (isCut) await truncate(join(folder, journal), gapAt);
    add(journal, (isCut ? undefined : damage) ?? journalDamage(records));
  }

  const totalBytes = [...live.tables.values()].reduce((sum, size) => sum + size, 0);
  let doneBytes = 0;
  // One buffer for all tables: a start must not leave their size in memory.
  let scratch = Buffer.alloc(0);
  for (const [tableNumber, size] of live.tables) {
    const name = names.find((one) => /\.(ldb|sst)$/.test(one) && number(one) === tableNumber);
    if (name === undefined) add(`${String(tableNumber).padStart(6, '0')}.ldb`, 'it is missing');
    else if ((await stat(join(folder, name))).size !== size)
      add(name, `it has another size than the ${size} bytes that it was written with`);
    else {
      if (scratch.length < size) scratch = Buffer.allocUnsafe(size);
      add(name, tableDamage(await readInto(scratch, join(folder, name), size)));
    }
    doneBytes += size;
    onRead(doneBytes, totalBytes);
  }
  return damages;
}

/** Whether nothing was ever written: a first start that was cut off between the first manifest, which knows no journal, and the next. */
async function isBlank(folder: string, names: readonly string[]): Promise<boolean> {
  for (const name of names)
    if (/\.(ldb|sst|log)$/.test(name) && (await stat(join(folder, name))).size > 0) return false;
  return true;
}

/** The first `size` bytes of a file, or as many as it has. */
async function readInto(scratch: Buffer, path: string, size: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    let at = 0;
    for (let read = -1; at < size && read !== 0; at += read)
      ({ bytesRead: read } = await file.read(scratch, at, size - at, at));
    return scratch.subarray(0, at);
  } finally {
    await file.close();
  }
}
