import { statSync, truncateSync } from 'node:fs';
import fsPromises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import type { RandomStream } from '../random.ts';

/**
 * The vote logs of simulated nodes: real files whose syncs take virtual time and fail, whose disk is full now and then,
 * and that keep a random part of what was not synced when their node dies.
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

function diskError(code: 'EIO' | 'ENOSPC'): Error {
  return Object.assign(new Error(`${code}: simulated`), { code });
}

export interface FaultyLogOptions {
  readonly path: string;
  readonly dice: RandomStream;
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
    const { path, dice, sync, isFull, failed } = this.#options;
    const append = handle.appendFile.bind(handle);
    const close = handle.close.bind(handle);
    this.#handles.add(handle);
    this.#syncedBytes = Math.min(this.#syncedBytes, statSync(path).size);
    return Object.assign(handle, {
      appendFile: async (data: Uint8Array): Promise<void> => {
        if (!isFull()) return append(data);
        await append(data.subarray(0, dice.whole(0, data.length - 1)));
        failed();
        throw diskError('ENOSPC');
      },
      datasync: async (): Promise<void> => {
        const { size } = statSync(path);
        const { ms, fails } = sync();
        await new Promise<void>((resolve) => setTimeout(resolve, ms));
        if (fails || isFull()) {
          failed();
          throw diskError(fails ? 'EIO' : 'ENOSPC');
        }
        this.#syncedBytes = Math.max(this.#syncedBytes, size);
      },
      close: async (): Promise<void> => {
        this.#handles.delete(handle);
        return close();
      },
    });
  }

  /** The node is dead: its files are closed, and end somewhere behind what was synced. True when a record was torn. */
  crash(): boolean {
    const { path, dice } = this.#options;
    for (const handle of this.#handles) void handle.close();
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    if (size <= this.#syncedBytes) return false;
    truncateSync(path, dice.whole(this.#syncedBytes, size));
    return true;
  }
}
