import type { ContractId, NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import { download } from '../files/download.ts';
import { type Manifest, normalName, type Slab, slabKeyWrap } from '../files/manifest.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { Arrivals } from './arrivals.ts';
import { Backup } from './backup.ts';
import { takeOutGarbage } from './cleaning.ts';
import type { Contractor } from './contractor.ts';
import { FileRecovery, type Recovery } from './file-recovery.ts';
import { FileWriter, type WriteOptions } from './file-writer.ts';
import { type FileHealth, healthOf, isAlive } from './health.ts';
import type { HostBook } from './host-book.ts';
import { HostSource } from './host-source.ts';
import { Manifests, SNAPSHOT } from './manifests.ts';
import { type RepairTask, repairFile } from './repair.ts';
import { Uploads } from './uploads.ts';

/**
 * The owner's files. A file is there when every fragment is on its host's disk, every contract over them is final, and
 * the manifest is on disk: in that order. What a crash cuts off in between is under contract and in no manifest: garbage,
 * which the next cleaning takes out.
 */

const RESUME_MS = 3_600_000;

export interface FileStoreOptions {
  readonly ledger: MarketLedger;
  readonly link: HostLink;
  readonly store: KeyValues;
  readonly contractor: Contractor;
  readonly book: HostBook;
  readonly pool: SlabCoder;
  readonly filesSecret: Uint8Array;
  /** What an interrupted upload has placed is kept, and paid, this long. */
  readonly resumeMs?: number;
  /** A note to hosts that is longer than this is folded into a snapshot. */
  readonly noteBytes?: number | undefined;
  now(): number;
  random(): number;
}

export class FileStore {
  readonly #options: FileStoreOptions;
  readonly #wrap: Uint8Array;
  readonly #arrivals = new Arrivals();
  readonly #manifests: Manifests;
  readonly #uploads: Uploads;
  readonly #source: HostSource;
  readonly #writer: FileWriter;
  readonly #backup: Backup;
  readonly #recovery: FileRecovery;
  readonly #repairing = new Set<string>();
  /** Files as they were when somebody began to read them, and who still does. */
  readonly #reading = new Set<{ readonly manifest: Manifest }>();

  constructor(options: FileStoreOptions) {
    const { store, filesSecret, resumeMs = RESUME_MS, noteBytes, now } = options;
    this.#options = options;
    this.#wrap = slabKeyWrap(filesSecret);
    this.#manifests = new Manifests(store);
    this.#uploads = new Uploads(store, resumeMs, now);
    this.#source = new HostSource(options);
    this.#writer = new FileWriter({
      ...options,
      arrivals: this.#arrivals,
      uploads: this.#uploads,
      wrap: this.#wrap,
      alive: (host) => this.alive(host),
      repair: (task) => this.#repair(task),
    });
    this.#backup = new Backup({
      ...options,
      manifests: this.#manifests,
      foldBytes: noteBytes,
      isWhole: async () => !(await this.#recovery.isNeeded()) && !(await this.#recovery.isUnderWay()),
      keep: (source, keep) => this.#writer.write(SNAPSHOT, source, {}, keep),
    });
    this.#recovery = new FileRecovery({
      ...options,
      manifests: this.#manifests,
      backup: this.#backup,
      read: (manifest) => this.#read(manifest),
    });
  }

  async open(): Promise<void> {
    await this.#manifests.open();
    await this.#source.open();
    await this.#backup.open();
  }

  manifest(name: string): Manifest | undefined {
    return this.#manifests.get(normalName(name));
  }

  /** Files behind the one named `after`, in the order of the bytes of their names. */
  page(after: string | undefined, limit: number): Promise<readonly Manifest[]> {
    return this.#manifests.page(after, limit);
  }

  all(): AsyncGenerator<Manifest> {
    return this.#manifests.all();
  }

  /** Bytes that all files take at hosts. */
  get storedBytes(): number {
    return this.#manifests.storedBytes;
  }

  /** Bytes got under a contract so far. */
  egressBytes(id: ContractId): number {
    return this.#source.egressBytes(id);
  }

  /** Whether a host is thought to have what it was given, and to go on having it. */
  alive(host: NodeId): boolean {
    return isAlive(host, this.#options.book, this.#options.ledger);
  }

  health(manifest: Manifest): FileHealth {
    return healthOf(manifest, (host) => this.alive(host));
  }

  // ---- what the owner does

  /**
   * Stores what `source` gives under a name, in place of what was there. Resolves when it is acknowledged in the sense
   * above. Throws MarketError (`bad-name`, `not-enough-hosts`, …) or the LedgerError of a refused contract.
   */
  async put(
    givenName: string,
    source: AsyncIterable<Uint8Array>,
    options: WriteOptions & { readonly overwrite?: boolean } = {},
  ): Promise<Manifest> {
    const name = normalName(givenName);
    if (options.overwrite === false && this.manifest(name) !== undefined)
      throw new MarketError('exists', `there is a file "${name}" already`);
    if (await this.isUnrecovered())
      throw new MarketError(
        'not-recovered',
        'the files of this account are not known here yet; "blocktree recover" brings them back first',
      );
    let kept: Manifest | undefined;
    await this.#writer.write(name, source, options, async (manifest, also) => {
      await this.#manifests.change(name, () => manifest, also);
      kept = manifest;
    });
    this.#backup.changed();
    await this.#backup.saved();
    return kept as Manifest;
  }

  /**
   * The bytes from `from` to `to` (exclusive); the whole file by default. What is removed or replaced meanwhile is read to
   * its end. Throws MarketError `not-found` at once, others while reading.
   */
  read(name: string, from?: number, to?: number): AsyncGenerator<Uint8Array> {
    return this.#read(this.#wanted(name), from, to);
  }

  async *#read(manifest: Manifest, from?: number, to?: number): AsyncGenerator<Uint8Array> {
    const reader = { manifest };
    this.#reading.add(reader);
    try {
      const moved = (): Manifest | undefined => {
        const now = this.#manifests.get(manifest.name);
        return now?.createdMs === manifest.createdMs && now.contentHash === manifest.contentHash
          ? now
          : undefined;
      };
      yield* download(manifest, this.#wrap, this.#options.pool, this.#source, { from, to, moved });
    } finally {
      this.#reading.delete(reader);
    }
  }

  /** Throws MarketError `not-found`. */
  async remove(name: string): Promise<void> {
    const manifest = this.#wanted(name);
    await this.#manifests.change(manifest.name, () => undefined);
    this.#backup.changed();
    void this.#backup.publish().catch(() => undefined); // A job tries again.
  }

  #wanted(name: string): Manifest {
    const manifest = this.manifest(name);
    if (manifest === undefined)
      throw new MarketError('not-found', `there is no file "${name}"; see "blocktree ls"`);
    return manifest;
  }

  // ---- what keeps files whole and contracts small

  /**
   * Rebuilds what hosts that are gone, or will be, kept of a file. Resolves to the number of fragments moved. Throws
   * MarketError `not-enough-hosts` or `not-enough-fragments`, or what hosts said, when something is left.
   */
  async repair(name: string): Promise<number> {
    const { ledger, link, book } = this.#options;
    if (this.#repairing.has(name)) return 0;
    this.#repairing.add(name);
    try {
      return await this.#repair({
        arrivals: this.#arrivals,
        candidates: () => book.candidates(ledger, link),
        alive: (host) => this.alive(host),
        manifest: () => this.#manifests.get(name),
        change: async (next) => {
          const now = await this.#manifests.change(name, next);
          this.#backup.changed();
          return now;
        },
      });
    } finally {
      this.#repairing.delete(name);
    }
  }

  #repair(task: RepairTask): Promise<number> {
    const { ledger, link, contractor, pool, random } = this.#options;
    return repairFile({
      ...task,
      ...{ link, contractor, pool, random },
      source: this.#source,
      rented: (host) => ledger.contractBetween(ledger.accountId, host) !== undefined,
    });
  }

  /** Takes out of the contracts what no file needs, and closes those with nothing left. Resolves to the number of fragments taken out. */
  async clean(): Promise<number> {
    if (await this.#recovery.isUnderWay()) return 0;
    await this.#uploads.tidy(this.#writer.names);
    await this.#source.tidy();
    return takeOutGarbage({
      ...this.#options,
      arrivals: this.#arrivals,
      needed: () => this.#needed(),
      egressBytes: (id) => this.egressBytes(id),
    });
  }

  /** All whose fragments are needed: files, what was removed or replaced while it is read, what an upload may go on with. */
  async *#needed(): AsyncGenerator<Slab> {
    for await (const { slabs } of this.all()) yield* slabs;
    for (const { manifest } of this.#reading) yield* manifest.slabs;
    yield* this.#uploads.slabs();
  }

  // ---- the list of files at hosts, and back from it

  /** Whether a host should be given the newest note of all files, or asked for it again. */
  async isNoteDue(): Promise<boolean> {
    return (await this.#recovery.isUnderWay()) || this.#backup.isDue();
  }

  /** Gives hosts the newest note; resolves to how many have it. Throws MarketError `outdated`. */
  saveNote(): Promise<number> {
    return this.#backup.publish();
  }

  /** Hosts know a newer list of files than this data folder has. */
  get isOvertaken(): boolean {
    return this.#backup.overtaken;
  }

  /** Contracts of this account are live, and this data folder knows nothing of what is in them. */
  isUnrecovered(): Promise<boolean> {
    return this.#recovery.isNeeded();
  }

  /** Finds the files of this account again; see `FileRecovery`. */
  recover(): Promise<Recovery> {
    return this.#recovery.run();
  }

  /** Goes on with a recovery that some hosts did not answer; says whether there was one. */
  async goOnRecovering(): Promise<boolean> {
    if (!(await this.#recovery.isUnderWay())) return false;
    await this.recover();
    return true;
  }
}
