import { randomBytes } from 'node:crypto';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NodeError } from '../errors.ts';

/**
 * Makes a folder that a volume can live in, and writes to it once to be sure. What was made stays when it is refused.
 * Throws NodeError `bad-folder`.
 */
export async function prepareVolumeFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
    if (!(await stat(folder)).isDirectory()) throw new NodeError('bad-folder', `${folder} is not a folder`);
    await tryWriting(folder);
  } catch (error) {
    if (error instanceof NodeError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new NodeError(
      'bad-folder',
      `${folder} cannot hold a volume (${code}): expected a folder that this node may write to`,
      { cause: error },
    );
  }
}

/** One level at a time: Node's recursive `mkdir` never ends where a parent exists and still answers ENOENT, as /proc does. */
async function makeFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let at = folder; !(await exists(at)); at = dirname(at)) missing.push(at);
  for (const one of missing.reverse()) {
    try {
      await mkdir(one, { mode: 0o700 });
    } catch (error) {
      // Another made it in the meantime.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

async function tryWriting(folder: string): Promise<void> {
  const path = join(folder, `.trial-${randomBytes(6).toString('hex')}`);
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile('x');
    await file.sync();
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}
