import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const NAME = 'height';
const WIDTH = 16;

/**
 * The height up to which blocks were final, in a file beside LevelDB's: written after each commit, not synced, so that it is
 * never ahead of what was durable. A ledger that ends below it has lost its newest part, which LevelDB does not notice when
 * its journal is missing or cut.
 */
export class HeightMark {
  readonly #file: number;

  constructor(folder: string) {
    this.#file = openSync(join(folder, NAME), 'a+');
    closeSync(this.#file);
    this.#file = openSync(join(folder, NAME), 'r+');
  }

  /** The height marked in a folder; 0 where there is none that can be read. */
  static read(folder: string): number {
    try {
      const text = readFileSync(join(folder, NAME), 'latin1');
      return /^\d{16}$/.test(text) ? Number(text) : 0;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw error;
    }
  }

  write(height: number): void {
    writeSync(this.#file, String(height).padStart(WIDTH, '0'), 0, 'latin1');
  }

  close(): void {
    closeSync(this.#file);
  }
}
