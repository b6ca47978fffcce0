import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { newestRoot } from '../../ledger/state/contract-terms.ts';
import { codeOf, MarketError } from '../errors.ts';
import { DOUBTFUL, download, type FragmentSource } from '../files/download.ts';
import { type Manifest, normalName, type Slab, slabKeyWrap } from '../files/manifest.ts';
import { defaultScheme, type Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import { upload as send } from '../files/upload.ts';
import { type HostLink, jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import { Tally } from '../tally.ts';
import { Arrivals, nameOf } from './arrivals.ts';
import { Backup } from './backup.ts';
import { takeOutGarbage } from './cleaning.ts';
import type { Contractor } from './contractor.ts';
import type { HostBook } from './host-book.ts';
import { Manifests, SNAPSHOT } from './manifests.ts';
import { Placement } from './placement.ts';
import { findFiles, findLists } from './recovery.ts';
import { isExtensible, isRenewalDue } from './renewal.ts';
import { type RepairOptions, repairFile } from './repair.ts';
import { type Upload, Uploads } from './uploads.ts';

/**
 * The owner's files. A file is there when every fragment is on its host's disk, every contract over them is final, and
 * the manifest is on disk: in that order. What a crash cuts off in between is under contract and in no manifest: garbage,
 * which the next cleaning takes out.
 */

const DOWNLOAD_MS_GUESS = 50;
const RESUME_MS = 3_600_000;
const RECOVERING = 'recovering';

export interface FileHealth {
  readonly state: 'healthy' | 'degraded' | 'lost';
  /** In the slab that has the fewest. */
  readonly fragmentsAlive: number;
  readonly fragmentsNeeded: number;
  readonly fragmentsTotal: number;
}

/** What a recovery brought back. */
export interface Recovery {
  /** Names of files that were not here. */
  readonly added: readonly string[];
  /** Files that are here now. */
  readonly files: number;
  /** Hosts of live contracts, */
  readonly hosts: number;
  /** and those of them that still have to answer. */
  readonly silent: readonly NodeId[];
}

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
  /** Names that are being written. */
  readonly #busy = new Set<string>();
  readonly #repairing = new Set<string>();
  /** Files as they were when somebody began to read them, and who still does. */
  readonly #reading = new Set<{ readonly manifest: Manifest }>();
  readonly #manifests: Manifests;
  readonly #uploads: Uploads;
  readonly #backup: Backup;
  #recovering: Promise<Recovery> | undefined;
  /** Bytes got under a contract since it opened. */
  readonly #egress: Tally<ContractId>;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#manifests = new Manifests(options.store);
    this.#uploads = new Uploads(options.store, options.resumeMs ?? RESUME_MS, options.now);
    this.#egress = new Tally(options.store, 'egress-in/');
    const { ledger, link, store, filesSecret, noteBytes } = options;
    this.#backup = new Backup({
      ...{ ledger, link, store, filesSecret },
      manifests: this.#manifests,
      foldBytes: noteBytes,
      isWhole: async () => !(await this.isUnrecovered()) && !(await this.#isRecovering()),
      keep: (source, write) => this.#keep(SNAPSHOT, source, {}, write),
    });
    this.#wrap = slabKeyWrap(options.filesSecret);
  }

  async open(): Promise<void> {
    await this.#manifests.open();
    await this.#egress.open();
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

  #wanted(name: string): Manifest {
    const manifest = this.manifest(name);
    if (manifest === undefined)
      throw new MarketError('not-found', `there is no file "${name}"; see "blocktree ls"`);
    return manifest;
  }

  /**
   * Stores what `source` gives under a name, in place of what was there. Resolves when it is acknowledged in the sense
   * above. Throws MarketError (`bad-name`, `not-enough-hosts`, …) or the LedgerError of a refused contract.
   */
  async put(
    givenName: string,
    source: AsyncIterable<Uint8Array>,
    options: { scheme?: Scheme | undefined; overwrite?: boolean; onProgress?(sentBytes: number): void } = {},
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
    await this.#keep(name, source, options, async (manifest, also) => {
      await this.#manifests.change(name, () => manifest, also);
      kept = manifest;
    });
    this.#backup.changed();
    await this.#backup.saved();
    return kept as Manifest;
  }

  /** Sends what `source` gives to hosts, has it under contract, and lets `write` put the manifest on disk. */
  async #keep(
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: { scheme?: Scheme | undefined; onProgress?(sentBytes: number): void },
    write: (manifest: Manifest, also: Parameters<KeyValues['write']>[0]) => Promise<void>,
  ): Promise<void> {
    const { ledger, link, book, pool } = this.#options;
    if (this.#busy.has(name))
      throw new MarketError(
        'exists',
        `"${name}" is being written at this moment; try again when that is done`,
      );
    this.#busy.add(name);
    const arrival = this.#arrivals.begin();
    try {
      const candidates = await book.candidates(ledger, link);
      const scheme = options.scheme ?? this.#uploads.schemeOf(name) ?? defaultScheme(candidates.length);
      const upload = await this.#uploads.begin(name, scheme);
      const held = await this.#held(upload);
      const placement = new Placement(candidates, scheme.data + scheme.parity, arrival, this.#options);
      let manifest = await send(source, {
        name,
        scheme,
        wrap: this.#wrap,
        pool,
        nowMs: this.#options.now(),
        known:
          upload.slabs.length === 0
            ? undefined
            : (index, plainHash) => {
                const slab = upload.known(index, plainHash);
                return slab?.fragments.every(({ host, root }) => held.has(nameOf(host, root)))
                  ? slab
                  : undefined;
              },
        place: (fragments) => placement.place(fragments),
        placed: (index, plainHash, slab) => upload.placed(index, plainHash, slab),
        onProgress: options.onProgress ?? (() => undefined),
      });
      const refused = await placement.commitAll();
      // What those hosts were sent is rebuilt elsewhere, before the file is acknowledged.
      if (refused.size > 0)
        await this.#repair({
          arrivals: { begin: () => ({ ...arrival, end: () => undefined }) },
          candidates: async () => candidates.filter(({ nodeId }) => !refused.has(nodeId)),
          alive: (host) => !refused.has(host) && this.alive(host),
          manifest: () => manifest,
          change: async (next) => {
            manifest = next(manifest) ?? manifest;
            return manifest;
          },
        });
      await write(manifest, await upload.removal());
    } finally {
      this.#busy.delete(name);
      arrival.end();
    }
  }

  /** Of the fragments that an interrupted upload has placed those that are, or come now, under contract. */
  async #held({ slabs }: Upload): Promise<ReadonlySet<string>> {
    const { ledger, link, contractor } = this.#options;
    const placed = new Map<NodeId, Hash[]>();
    for (const { fragments } of slabs)
      for (const { host, root } of fragments) placed.set(host, [...(placed.get(host) ?? []), root]);
    const held = new Set<string>();
    const agree = async (host: NodeId, roots: readonly Hash[]): Promise<void> => {
      // Some may be under contract in any case, and a host that is away is not waited for.
      if (link.reachable(host)) await contractor.commit(host, roots).catch(() => undefined);
      const live = ledger.contractBetween(ledger.accountId, host);
      if (live === undefined || !this.alive(host)) return;
      const list = new Set(contractor.listOf(live.id, live.contract));
      for (const root of roots) if (list.has(root)) held.add(nameOf(host, root));
    };
    await Promise.allSettled([...placed].map(([host, roots]) => agree(host, roots)));
    return held;
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
      yield* download(manifest, this.#wrap, this.#options.pool, this.source(), { from, to, moved });
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

  /** Where fragments come from: best hosts first; liars are remembered. */
  source(): FragmentSource {
    const { link, book } = this.#options;
    return {
      fetch: async ({ host, root }, frames) => {
        try {
          return await link.fetchFragment(host, root, frames);
        } catch (error) {
          // It says itself that it has not got what it is paid for.
          if (codeOf(error) === 'not-found') await book.suspend(host, 'lost-data');
          throw error;
        }
      },
      rank: ({ host }) => {
        const notes = book.notes(host);
        return (
          (link.reachable(host) ? 0 : 10 * DOUBTFUL) +
          (notes.suspended === undefined ? 0 : DOUBTFUL) +
          Math.min(DOUBTFUL - 1, Math.round(notes.latencyMs / DOWNLOAD_MS_GUESS))
        );
      },
      onGood: ({ host }, bytes) => this.#countEgress(host, bytes),
      onBad: async ({ host }, why) => {
        if (why === 'lied') await book.suspend(host, 'lied').catch(() => undefined);
      },
    };
  }

  /** On disk when it resolves, but where the disk is full: then it comes with the next. What was got is paid for. */
  async #countEgress(host: NodeId, bytes: number): Promise<void> {
    const { ledger } = this.#options;
    const live = ledger.contractBetween(ledger.accountId, host);
    if (live !== undefined)
      await this.#egress.set(live.id, this.egressBytes(live.id) + bytes).catch(() => undefined);
  }

  /** Bytes got under a contract so far. */
  egressBytes(id: ContractId): number {
    const paid = this.#options.ledger.contract(id)?.egressBytes ?? 0;
    return Math.max(this.#egress.get(id), paid);
  }

  /** Whether a host is thought to have what it was given, and to go on having it. */
  alive(host: NodeId): boolean {
    const { book, ledger } = this.#options;
    const notes = book.notes(host);
    if (notes.suspended === 'lied' || notes.suspended === 'lost-data') return false;
    if (notes.failedInARow >= ledger.parameters.maxMissed) return false;
    const live = ledger.contractBetween(ledger.accountId, host);
    if (live === undefined) return false;
    const [period, offer] = [ledger.period(), ledger.offerOf(host)];
    return !isRenewalDue(live.contract, period, offer) || isExtensible(live.contract, period, offer);
  }

  health(manifest: Manifest): FileHealth {
    const fragmentsTotal = manifest.scheme.data + manifest.scheme.parity;
    const hosts = new Map<NodeId, boolean>();
    const alive = (host: NodeId): boolean => {
      const known = hosts.get(host) ?? this.alive(host);
      hosts.set(host, known);
      return known;
    };
    const fragmentsAlive = Math.min(
      fragmentsTotal,
      ...manifest.slabs.map((slab) => slab.fragments.filter(({ host }) => alive(host)).length),
    );
    const fragmentsNeeded = manifest.scheme.data;
    const state =
      fragmentsAlive >= fragmentsTotal ? 'healthy' : fragmentsAlive >= fragmentsNeeded ? 'degraded' : 'lost';
    return { state, fragmentsAlive, fragmentsNeeded, fragmentsTotal };
  }

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

  #repair(
    what: Pick<RepairOptions, 'arrivals' | 'candidates' | 'alive' | 'manifest' | 'change'>,
  ): Promise<number> {
    const { ledger, link, contractor, pool, random } = this.#options;
    return repairFile({
      link,
      contractor,
      pool,
      random: () => random(),
      rented: (host) => ledger.contractBetween(ledger.accountId, host) !== undefined,
      source: () => this.source(),
      ...what,
    });
  }

  /** Takes out of the contracts what no file needs, and closes those with nothing left. Resolves to the number of fragments taken out. */
  async clean(): Promise<number> {
    const { ledger, link, contractor } = this.#options;
    if (await this.#isRecovering()) return 0;
    await this.#uploads.tidy(this.#busy);
    for (const id of this.#egress.ids())
      if (ledger.contract(id) === undefined) await this.#egress.set(id, undefined);
    return takeOutGarbage({
      ledger,
      link,
      contractor,
      arrivals: this.#arrivals,
      needed: () => this.#needed(),
      egressBytes: (id) => this.egressBytes(id),
    });
  }

  // ---- back from the network

  /** Whether a host should be given the newest note of all files, or asked for it again. */
  async isNoteDue(): Promise<boolean> {
    return (await this.#isRecovering()) || this.#backup.isDue();
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
  async isUnrecovered(): Promise<boolean> {
    const { ledger, contractor } = this.#options;
    const renting = await ledger.contractsOf('renter');
    const filled = renting.filter(({ contract }) => newestRoot(contract).leafCount > 0);
    return filled.length > 0 && filled.every(({ contract }) => !contractor.knows(contract));
  }

  /**
   * Finds the files of this account again with what its hosts have. Files that are here stay as they are, where what hosts
   * have is not newer. Until every host has answered, or its contract is over, nothing is taken out of contracts.
   */
  recover(): Promise<Recovery> {
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  async #recover(): Promise<Recovery> {
    const { ledger, link, contractor, filesSecret, store } = this.#options;
    const options = {
      ...{ ledger, link, contractor, filesSecret },
      read: (manifest: Manifest) => this.#read(manifest),
    };
    const asked = (await ledger.contractsOf('renter')).map(({ contract }) => ledger.hostNodeOf(contract));
    await store.write([{ key: RECOVERING, value: jsonValue(asked) }]);
    const { sequence, files, snapshot, silent } = await findFiles(asked, options);
    const names: string[] = [];
    if (sequence !== undefined && sequence > this.#backup.sequence) {
      if (snapshot !== undefined) await this.#manifests.change(SNAPSHOT, () => snapshot);
      for (const [name, manifest] of files) {
        await this.#manifests.change(name, (now) => {
          if (manifest === null || (now !== undefined && now.createdMs >= manifest.createdMs)) return now;
          names.push(name);
          return manifest;
        });
      }
      await this.#backup.goOn(sequence);
    }
    // Last: without its list nothing is taken out of a contract.
    const missing = await findLists(options);
    const left = [...new Set([...silent, ...missing])];
    await store.write([{ key: RECOVERING, value: left.length === 0 ? undefined : jsonValue(left) }]);
    if (files.size > 0) await this.#backup.saved();
    return { added: names, files: this.#manifests.count, hosts: asked.length, silent: left };
  }

  /** Whether hosts of live contracts still have to answer a recovery. */
  async #isRecovering(): Promise<boolean> {
    const { ledger, store } = this.#options;
    const silent = readJson<readonly NodeId[]>(store, RECOVERING);
    if (silent === undefined) return false;
    if (silent.some((host) => ledger.contractBetween(ledger.accountId, host) !== undefined)) return true;
    await store.write([{ key: RECOVERING, value: undefined }]);
    return false;
  }

  /** Goes on with a recovery that some hosts did not answer; says whether there was one. */
  async goOnRecovering(): Promise<boolean> {
    if (!(await this.#isRecovering())) return false;
    await this.recover();
    return true;
  }

  /** All whose fragments are needed: files, what was removed or replaced while it is read, what an upload may go on with. */
  async *#needed(): AsyncGenerator<Slab> {
    for await (const { slabs } of this.all()) yield* slabs;
    for (const { manifest } of this.#reading) yield* manifest.slabs;
    yield* this.#uploads.slabs();
  }
}
