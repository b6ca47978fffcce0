import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { RandomStream } from '../random.ts';

/** What a disk without power keeps of the end of a file that was not synced. */

const SECTOR_BYTES = 512;
/** The process died, not the machine: what it wrote is there. */
const KILLED_CHANCE = 0.25;
const SECTOR_LOST_CHANCE = 0.3;

/**
 * Leaves a file that ends anywhere behind what was synced, or one of full length in which sectors behind that are empty:
 * they come to the disk in any order. Says what became of it.
 */
export function cutPower(path: string, syncedBytes: number, dice: RandomStream): 'whole' | 'cut' | 'holed' {
  const { size = 0 } = statSync(path, { throwIfNoEntry: false }) ?? {};
  if (size <= syncedBytes || dice.chance(KILLED_CHANCE)) return 'whole';
  if (dice.chance(0.5)) {
    truncateSync(path, dice.whole(syncedBytes, size));
    return 'cut';
  }
  const bytes = readFileSync(path);
  let isHoled = false;
  for (let at = syncedBytes - (syncedBytes % SECTOR_BYTES); at < size; at += SECTOR_BYTES) {
    if (!dice.chance(SECTOR_LOST_CHANCE)) continue;
    bytes.fill(0, Math.max(at, syncedBytes), Math.min(at + SECTOR_BYTES, size));
    isHoled = true;
  }
  writeFileSync(path, bytes);
  return isHoled ? 'holed' : 'whole';
}
