import type { ContractId, NodeId } from '../../ledger/ids.ts';
import { codeOf, MarketError } from '../errors.ts';
import { download, type FragmentSource } from '../files/download.ts';
import { type Manifest, normalName, slabKeyWrap } from '../files/manifest.ts';
import { defaultScheme, type Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import { upload } from '../files/upload.ts';
import { type HostLink, jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import { Arrivals } from './arrivals.ts';
import { takeOutGarbage } from './cleaning.ts';
import type { Contractor } from './contractor.ts';
import type { HostBook } from './host-book.ts';
import { Placement } from './placement.ts';
import { isExtensible, isRenewalDue } from './renewal.ts';
import { type RepairOptions, repairFile } from './repair.ts';

/**
 * The owner's files. A file is there when every fragment is on its host's disk, every contract over them is final, and
 * the manifest is on disk: in that order. What a crash cuts off in between is under contract and in no manifest: garbage,
 * which the next cleaning takes out.
 */

const DOWNLOAD_MS_GUESS = 50;

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
  readonly #egress = new Map<ContractId, number>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#wrap = slabKeyWrap(options.filesSecret);
  }

  async open(): Promise<void> {
    const { store } = this.#options;
    for (const { key, value } of await store.range('egress-in/')) {
      this.#egress.set(key.slice('egress-in/'.length) as ContractId, Number(new TextDecoder().decode(value)));
    }
  }

  manifest(name: string): Manifest | undefined {
    return readJson<Manifest>(this.#options.store, `manifest/${normalName(name)}`);
  }

  async list(): Promise<readonly Manifest[]> {
    const rows = await this.#options.store.range('manifest/');
    return rows.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as Manifest);
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
    const { store, ledger, link, book, pool } = this.#options;
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
      const scheme = options.scheme ?? defaultScheme(candidates.length);
      const placement = new Placement(candidates, scheme.data + scheme.parity, arrival, this.#options);
      let manifest = await upload(source, {
        name,
        scheme,
        wrap: this.#wrap,
        pool,
        nowMs: this.#options.now(),
        place: (fragments) => placement.place(fragments),
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
          write: async (repaired) => {
            manifest = repaired;
          },
        });
      await store.write([{ key: `manifest/${name}`, value: jsonValue(manifest) }]);
      return manifest;
    } finally {
      this.#busy.delete(name);
      arrival.end();
    }
  }

  /** The bytes from `from` to `to` (exclusive); the whole file by default. Throws MarketError `not-found` at once, others while reading. */
  read(name: string, from?: number, to?: number): AsyncGenerator<Uint8Array> {
    return download(this.#wanted(name), this.#wrap, this.#options.pool, this.source(), from, to);
  }

  async remove(name: string): Promise<void> {
    const manifest = this.#wanted(name);
    await this.#options.store.write([{ key: `manifest/${manifest.name}`, value: undefined }]);
  }

  /** Where fragments come from: best hosts first; liars are remembered. */
  source(): FragmentSource {
    const { link, book } = this.#options;
    return {
      fetch: async ({ host, root }) => {
        try {
          const bytes = await link.fetchFragment(host, root);
          this.#countEgress(host, bytes.length);
          return bytes;
        } catch (error) {
          // It says itself that it has not got what it is paid for.
          if (codeOf(error) === 'not-found') await book.suspend(host, 'lost-data');
          throw error;
        }
      },
      rank: ({ host }) => {
        const notes = book.notes(host);
        return (
          (link.reachable(host) ? 0 : 100_000) +
          (notes.suspended === undefined ? 0 : 10_000) +
          Math.round(notes.latencyMs / DOWNLOAD_MS_GUESS)
        );
      },
      onBad: ({ host }, why) => {
        if (why === 'lied') void book.suspend(host, 'lied');
      },
    };
  }

  #countEgress(host: NodeId, bytes: number): void {
    const { ledger } = this.#options;
    const live = ledger.contractBetween(ledger.accountId, host);
    if (live !== undefined) this.#egress.set(live.id, (this.#egress.get(live.id) ?? 0) + bytes);
  }

  /** Bytes got under a contract so far; on disk when it resolves, so that receipts never go backwards. */
  async egressBytes(id: ContractId): Promise<number> {
    const bytes = this.#egress.get(id) ?? 0;
    await this.#options.store.write([
      { key: `egress-in/${id}`, value: new TextEncoder().encode(String(bytes)) },
    ]);
    return bytes;
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
    const { store, ledger, link, book } = this.#options;
    const { name } = this.#wanted(givenName);
    if (this.#repairing.has(name)) return 0;
    this.#repairing.add(name);
    try {
      return await this.#repair({
        arrivals: this.#arrivals,
        candidates: () => book.candidates(ledger, link),
        alive: (host) => this.alive(host),
        manifest: () => this.manifest(name),
        write: (manifest) => store.write([{ key: `manifest/${name}`, value: jsonValue(manifest) }]),
      });
    } finally {
      this.#repairing.delete(name);
    }
  }

  #repair(
    what: Pick<RepairOptions, 'arrivals' | 'candidates' | 'alive' | 'manifest' | 'write'>,
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
  clean(): Promise<number> {
    const { ledger, link, contractor } = this.#options;
    return takeOutGarbage({
      ledger,
      link,
      contractor,
      arrivals: this.#arrivals,
      manifests: () => this.list(),
      egressBytes: (id) => this.egressBytes(id),
    });
  }
}
