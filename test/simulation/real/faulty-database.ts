import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import type { Batch, Database } from '../../../node/ledger/store/ledger-database.ts';
import type { Observer } from '../observer.ts';
import { RandomStream } from '../random.ts';
import { cutPower } from './power-cut.ts';

/**
 * The LevelDB of simulated nodes: real folders whose synced writes take virtual time and fail, and that lose what was not
 * synced when the power goes, a write that is under way included. Every start begins a new journal; what an earlier one
 * held is in synced tables by then.
 */

const MARK_LOST_CHANCE = 0.3;

const databases = new Map<string, FaultyDatabase>();

/** Faulty databases hear of what is written to their folders until the result is called. */
export function interceptDatabases(): () => void {
  const { batch } = Level.prototype;
  const own: { batch?: unknown } = Level.prototype;
  own.batch = function (this: Database, ...operations: []): Batch {
    const made = Reflect.apply(batch, this, operations) as Batch;
    return databases.get(this.location)?.adopt(this, made) ?? made;
  };
  return () => {
    delete own.batch;
    databases.clear();
  };
}

export interface FaultyDatabaseOptions {
  readonly location: string;
  readonly dice: RandomStream;
  readonly observer: Observer;
  /** How long a sync takes, and whether it fails. */
  sync(): { readonly ms: number; readonly fails: boolean };
  isFull(): boolean;
  /** Hears of every failure, before the node does. */
  failed(): void;
}

export class FaultyDatabase {
  readonly #options: FaultyDatabaseOptions;
  #database: Database | undefined;
  /** Synced writes that are under way. */
  readonly #underWay = new Set<() => Promise<void>>();
  #journal: string | undefined;
  #syncedBytes = 0;
  /** Whether the mark of its height, which is never synced, was lost: who then loses the newest blocks cannot know. */
  lostMark = false;

  constructor(options: FaultyDatabaseOptions) {
    this.#options = options;
    databases.set(options.location, this);
  }

  adopt(database: Database, batch: Batch): Batch {
    this.#database = database;
    const write = batch.write.bind(batch);
    return Object.assign(batch, {
      write: async (options: { sync?: boolean } = {}): Promise<void> => {
        if (this.#options.isFull()) this.#fail('ENOSPC');
        if (options.sync !== true) return write(options);
        const finish = (): Promise<void> => write(options);
        this.#underWay.add(finish);
        const { ms, fails } = this.#options.sync();
        await new Promise<void>((resolve) => setTimeout(resolve, ms));
        this.#underWay.delete(finish);
        if (fails) this.#fail('EIO');
        await finish();
        this.#journal = newestJournal(this.#options.location);
        this.#syncedBytes = this.#journal === undefined ? 0 : statSync(this.#journal).size;
      },
    });
  }

  #fail(code: 'EIO' | 'ENOSPC'): never {
    this.#options.failed();
    this.#options.observer.count(code === 'EIO' ? 'commits that fail' : 'commits without room');
    throw new Error(`${code}: simulated`);
  }

  /** The node is dead; when it resolves, its database is closed and holds what the disk kept of it. */
  async crash(): Promise<void> {
    const { observer, location } = this.#options;
    // Of its own: several die at once, and which one is closed first is up to the machine.
    const dice = new RandomStream(this.#options.dice.whole(0, 0x7fff_ffff), 'power');
    const underWay = [...this.#underWay];
    this.#underWay.clear();
    if (underWay.length > 0) observer.count('commits cut off');
    for (const finish of underWay) await finish();
    await this.#database?.close();
    this.#database = undefined;
    const journal = newestJournal(location);
    if (journal === undefined) return;
    if (journal !== this.#journal) this.#syncedBytes = 0;
    this.#journal = journal;
    const fate = cutPower(journal, this.#syncedBytes, dice);
    if (fate !== 'whole') {
      observer.count(`journals ${fate}`);
      this.#syncedBytes = statSync(journal).size;
    }
    const mark = join(location, 'height');
    if (!existsSync(mark)) return;
    if (dice.chance(MARK_LOST_CHANCE)) truncateSync(mark);
    this.lostMark = statSync(mark).size === 0;
  }
}

function newestJournal(location: string): string | undefined {
  if (!existsSync(location)) return undefined;
  const newest = readdirSync(location)
    .filter((name) => name.endsWith('.log'))
    .sort()
    .at(-1);
  return newest && join(location, newest);
}
