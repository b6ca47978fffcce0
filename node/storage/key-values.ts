import { mkdirSync } from 'node:fs';
import { Level } from 'level';
import type { KeyValues } from '../../market/interfaces.ts';
import { NodeError } from '../errors.ts';
import { diskError } from './disk-error.ts';
import { checkLevelFiles, type FileDamage } from './level-files.ts';
import { isOpenSomewhere } from './level-lock.ts';

/**
 * The market's small database on LevelDB. A write is durable when it resolves, whole or not at all; those that are asked
 * for while another is being synced go to disk together.
 */
export class LevelKeyValues implements KeyValues {
  readonly #db: Level<string, Uint8Array>;
  /** After a write that failed no other is tried: it could be lost behind half a record in the journal. */
  #failed: NodeError | undefined;
  #waiting: Change[] = [];
  /** The batch that is being synced; never rejects. */
  #running: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;

  private constructor(db: Level<string, Uint8Array>) {
    this.#db = db;
  }

  /** Throws NodeError `data-in-use` or `data-damaged`, and as `diskError`. */
  static async open(folder: string): Promise<LevelKeyValues> {
    const [damage] = await filesOf(folder);
    if (damage !== undefined && !isOpenSomewhere(folder))
      throw new NodeError(
        'data-damaged',
        `the database in ${folder} is damaged: ${damage.file}: ${damage.what}. Put the folder back from a backup; moving it away loses what this node knows of its files and of the fragments that it keeps`,
      );
    const db = new Level<string, Uint8Array>(folder, { valueEncoding: 'view' });
    try {
      await db.open();
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error);
      const code = (cause as { code?: string }).code === 'LEVEL_LOCKED' ? 'data-in-use' : 'data-damaged';
      throw (
        diskError(folder, error) ??
        new NodeError(code, `the database in ${folder} cannot be opened: ${cause.message}`, { cause })
      );
    }
    return new LevelKeyValues(db);
  }

  get(key: string): Uint8Array | undefined {
    return this.#db.getSync(key);
  }

  write(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return Promise.resolve();
    this.#waiting.push(...changes);
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const syncing = this.#sync();
      this.#running = syncing.catch(() => undefined); // Those who wait for it hear of it.
      return syncing;
    });
    return this.#next;
  }

  async #sync(): Promise<void> {
    const changes = this.#waiting;
    this.#waiting = [];
    if (this.#failed !== undefined) throw this.#failed;
    try {
      await this.#db.batch(
        changes.map(({ key, value }) =>
          value === undefined ? { type: 'del' as const, key } : { type: 'put' as const, key, value },
        ),
        { sync: true },
      );
    } catch (error) {
      this.#failed = diskError(this.#db.location, error);
      throw this.#failed ?? error;
    }
  }

  async range(
    prefix: string,
    {
      after = '',
      limit = Number.POSITIVE_INFINITY,
    }: { readonly after?: string; readonly limit?: number } = {},
  ): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]> {
    const out: { key: string; value: Uint8Array }[] = [];
    // Keys are in the order of their bytes: the prefix with its last character raised is above all that begin with it.
    const end = `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
    const from = after > prefix ? { gt: after } : { gte: prefix };
    for await (const [key, value] of this.#db.iterator({ ...from, lt: end, limit })) out.push({ key, value });
    return out;
  }

  async close(): Promise<void> {
    await this.#next?.catch(() => undefined);
    await this.#running;
    await this.#db.close();
  }
}

async function filesOf(folder: string): Promise<readonly FileDamage[]> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return await checkLevelFiles(folder);
  } catch (error) {
    throw diskError(folder, error) ?? error;
  }
}

interface Change {
  readonly key: string;
  readonly value: Uint8Array | undefined;
}
