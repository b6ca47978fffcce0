import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Whether some process has a LevelDB folder open, without opening it: LevelDB holds an advisory lock on its file LOCK, and
 * Linux lists those in /proc/locks (proc(5)). Where there is no such list the answer is no.
 */
export function isOpenSomewhere(folder: string): boolean {
  let inode: bigint;
  let locks: string;
  try {
    inode = statSync(join(folder, 'LOCK'), { bigint: true }).ino;
    locks = readFileSync('/proc/locks', 'utf8');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
  return locks.split('\n').some((lock) => lock.includes('WRITE') && lock.includes(`:${inode} `));
}
