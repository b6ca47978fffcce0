import { statSync } from 'node:fs';
import fsPromises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { Observer } from '../observer.ts';
import type { RandomStream } from '../random.ts';
import { cutPower } from './power-cut.ts';

/**
 * The vote logs of simulated nodes: real files whose syncs take virtual time and fail, whose disk is full now and then,
 * and that lose what was not synced when their node dies.
 */

const realOpen = fsPromises.open;
const logs = new Map<string, FaultyLog>();

/** Files of faulty logs are opened through them until the result is called. */
export function interceptLogs(): () => void {
  const open: typeof fsPromises.open = async (path, ...rest) => {
    const handle = await realOpen(path, ...rest);
    return logs.get(String(path))?.adopt(handle) ?? handle;
  };
  Object.assign(fsPromises, { open });
  syncBuiltinESMExports();
  return () => {
    Object.assign(fsPromises, { open: realOpen });
    syncBuiltinESMExports();
    logs.clear();
  };
}

export interface FaultyLogOptions {
  readonly path: string;
  readonly dice: RandomStream;
  readonly observer: Observer;
  /** How long a sync takes, and whether it fails. */
  sync(): { readonly ms: number; readonly fails: boolean };
  isFull(): boolean;
  /** Hears of every failure, before the node does. */
  failed(): void;
}

export class FaultyLog {
  readonly #options: FaultyLogOptions;
  readonly #handles = new Set<FileHandle>();
  #syncedBytes = 0;

  constructor(options: FaultyLogOptions) {
    this.#options = options;
    logs.set(options.path, this);
  }

  adopt(handle: FileHandle): FileHandle {
    const { path, dice, sync, isFull } = this.#options;
    const append = handle.appendFile.bind(handle);
    const close = handle.close.bind(handle);
    this.#handles.add(handle);
    this.#syncedBytes = Math.min(this.#syncedBytes, statSync(path).size);
    return Object.assign(handle, {
      appendFile: async (data: Uint8Array): Promise<void> => {
        if (!isFull()) return append(data);
        await append(data.subarray(0, dice.whole(0, data.length - 1)));
        this.#fail('ENOSPC');
      },
      datasync: async (): Promise<void> => {
        const { size } = statSync(path);
        const { ms, fails } = sync();
        await new Promise<void>((resolve) => setTimeout(resolve, ms));
        if (fails || isFull()) this.#fail(fails ? 'EIO' : 'ENOSPC');
        this.#syncedBytes = Math.max(this.#syncedBytes, size);
      },
      close: async (): Promise<void> => {
        this.#handles.delete(handle);
        return close();
      },
    });
  }

  #fail(code: 'EIO' | 'ENOSPC'): never {
    this.#options.failed();
    this.#options.observer.count(code === 'EIO' ? 'failed syncs' : 'syncs without room');
    throw Object.assign(new Error(`${code}: simulated`), { code });
  }

  /** The node is dead: its files are closed, and end somewhere behind what was synced. */
  crash(): void {
    const { path, dice, observer } = this.#options;
    for (const handle of this.#handles) void handle.close();
    if (cutPower(path, this.#syncedBytes, dice) !== 'whole') observer.count('torn logs');
  }
}
