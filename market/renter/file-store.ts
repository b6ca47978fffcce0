import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { codeOf, MarketError } from '../errors.ts';
import { DOUBTFUL, download, type FragmentSource } from '../files/download.ts';
import { type Manifest, normalName, type Slab, slabKeyWrap } from '../files/manifest.ts';
import { defaultScheme, type Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import { upload as send } from '../files/upload.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { Tally } from '../tally.ts';
import { Arrivals, nameOf } from './arrivals.ts';
import { takeOutGarbage } from './cleaning.ts';
import type { Contractor } from './contractor.ts';
import type { HostBook } from './host-book.ts';
import { Manifests } from './manifests.ts';
import { Placement } from './placement.ts';
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

export interface FileHealth {
  readonly state: 'healthy' | 'degraded' | 'lost';
  /** In the slab that has the fewest. */
  readonly fragmentsAlive: number;
  readonly fragmentsNeeded: number;
  readonly fragmentsTotal: number;
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
  /** Bytes got under a contract since it opened. */
  readonly #egress: Tally<ContractId>;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#manifests = new Manifests(options.store);
    this.#uploads = new Uploads(options.store, options.resumeMs ?? RESUME_MS, options.now);
    this.#egress = new Tally(options.store, 'egress-in/');
    this.#wrap = slabKeyWrap(options.filesSecret);
  }

  async open(): Promise<void> {
    await this.#manifests.open();
    await this.#egress.open();
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
    const { ledger, link, book, pool } = this.#options;
    if (options.overwrite === false && this.manifest(name) !== undefined)
      throw new MarketError('exists', `there is a file "${name}" already`);
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
      await this.#manifests.change(name, () => manifest, await upload.removal());
      return manifest;
    } finally {
      this.#busy.delete(name);
      arrival.end();
    }
  }

  /** Of the fragments that an interrupted upload has placed those that are, or come now, under contract. */
  async #held({ slabs }: Upload): Promise<ReadonlySet<string>> {
    const { ledger, contractor } = this.#options;
    const placed = new Map<NodeId, Hash[]>();
    for (const { fragments } of slabs)
      for (const { host, root } of fragments) placed.set(host, [...(placed.get(host) ?? []), root]);
    const held = new Set<string>();
    const agree = async (host: NodeId, roots: readonly Hash[]): Promise<void> => {
      await contractor.commit(host, roots).catch(() => undefined); // Some may be under contract all the same.
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
        const now = this.manifest(manifest.name);
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
  async repair(givenName: string): Promise<number> {
    const { ledger, link, book } = this.#options;
    const { name } = this.#wanted(givenName);
    if (this.#repairing.has(name)) return 0;
    this.#repairing.add(name);
    try {
      return await this.#repair({
        arrivals: this.#arrivals,
        candidates: () => book.candidates(ledger, link),
        alive: (host) => this.alive(host),
        manifest: () => this.manifest(name),
        change: (next) => this.#manifests.change(name, next),
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

  /** All whose fragments are needed: files, what was removed or replaced while it is read, what an upload may go on with. */
  async *#needed(): AsyncGenerator<Slab> {
    for await (const { slabs } of this.all()) yield* slabs;
    for (const { manifest } of this.#reading) yield* manifest.slabs;
    yield* this.#uploads.slabs();
  }
}
