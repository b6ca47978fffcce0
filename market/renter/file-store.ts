import { randomUUID } from 'node:crypto';
import type { ContractId, Hash, NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import { download, fetchFragments } from '../files/download.ts';
import { type Manifest, normalName, type PlacedFragment, slabKeyWrap } from '../files/manifest.ts';
import { defaultScheme, type Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import { upload } from '../files/upload.ts';
import { type HostLink, jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import { type Candidate, chooseHosts } from '../placement/choose-hosts.ts';
import type { Contractor } from './contractor.ts';
import type { HostBook } from './host-book.ts';

/**
 * The owner's files. A file is there when every fragment is on its host's disk, every contract over them is final, and
 * the manifest is on disk: in that order, so that a crash leaves either all of it or nothing.
 */

/** Fragments at one host that may wait for their contract; well below what a host takes. */
const UNCOMMITTED_MAX = 160;
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
  readonly #busy = new Set<string>();
  readonly #egress = new Map<ContractId, number>();

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#wrap = slabKeyWrap(options.filesSecret);
  }

  /** Uploads that a crash cut off are taken back: what they had put under contract is garbage. */
  async open(): Promise<void> {
    const { store } = this.#options;
    for (const { key, value } of await store.range('upload/')) {
      const placed = JSON.parse(new TextDecoder().decode(value)) as PlacedFragment[];
      await store.write([{ key, value: undefined }, ...garbage(placed)]);
    }
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
    const id = randomUUID();
    try {
      const candidates = await book.candidates(ledger, link);
      const scheme = options.scheme ?? defaultScheme(candidates.length);
      const placement = new Placement(candidates, scheme.data + scheme.parity, this.#options, id);
      const manifest = await upload(source, {
        name,
        scheme,
        wrap: this.#wrap,
        pool,
        nowMs: this.#options.now(),
        place: (fragments) => placement.place(fragments),
        onProgress: options.onProgress ?? (() => undefined),
      });
      await placement.commitAll();
      const before = this.manifest(name);
      await store.write([
        { key: `upload/${id}`, value: undefined },
        { key: `manifest/${name}`, value: jsonValue(manifest) },
        ...(before === undefined ? [] : garbage(before.slabs.flatMap((slab) => slab.fragments))),
      ]);
      return manifest;
    } catch (error) {
      const placed = readJson<PlacedFragment[]>(store, `upload/${id}`);
      if (placed !== undefined)
        await store.write([{ key: `upload/${id}`, value: undefined }, ...garbage(placed)]);
      throw error;
    } finally {
      this.#busy.delete(name);
    }
  }

  /** The bytes from `from` to `to` (exclusive); the whole file by default. Throws MarketError `not-found` at once, others while reading. */
  read(name: string, from?: number, to?: number): AsyncGenerator<Uint8Array> {
    return download(this.#wanted(name), this.#wrap, this.#options.pool, this.source(), from, to);
  }

  async remove(name: string): Promise<void> {
    const manifest = this.#wanted(name);
    await this.#options.store.write([
      { key: `manifest/${manifest.name}`, value: undefined },
      ...garbage(manifest.slabs.flatMap((slab) => slab.fragments)),
    ]);
  }

  /** Where fragments come from: best hosts first; liars are remembered. */
  source(): Parameters<typeof fetchFragments>[2] {
    const { link, book } = this.#options;
    return {
      fetch: async ({ host, root }) => {
        const bytes = await link.fetchFragment(host, root);
        this.#countEgress(host, bytes.length);
        return bytes;
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

  /** Whether a host is thought to have what it was given. */
  alive(host: NodeId): boolean {
    const { book, ledger } = this.#options;
    const notes = book.notes(host);
    if (notes.suspended === 'lied' || notes.suspended === 'lost-data') return false;
    if (notes.failedInARow >= ledger.parameters.maxMissed) return false;
    return ledger.contractBetween(ledger.accountId, host) !== undefined;
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
   * Rebuilds what hosts that are gone kept of a file, at hosts that keep nothing of the same slab. Resolves to the
   * number of fragments moved. Throws MarketError `not-enough-hosts` or `not-enough-fragments`.
   */
  async repair(name: string): Promise<number> {
    const { store, ledger, link, book, pool, contractor, random } = this.#options;
    const manifest = this.#wanted(name);
    if (this.#busy.has(manifest.name)) return 0;
    this.#busy.add(manifest.name);
    try {
      const candidates = await book.candidates(ledger, link);
      const slabs = [...manifest.slabs];
      const left: PlacedFragment[] = [];
      const added = new Map<NodeId, Hash[]>();
      for (const [at, slab] of slabs.entries()) {
        const lost = slab.fragments.flatMap(({ host }, index) => (this.alive(host) ? [] : [index]));
        if (lost.length === 0) continue;
        const keepers = new Set(slab.fragments.map(({ host }) => host));
        const spare = chooseHosts(
          candidates,
          Math.min(lost.length, spareCount(candidates, keepers)) || 1,
          random,
          keepers,
        );
        const got = await fetchFragments(
          slab,
          manifest.scheme.data,
          this.source(),
          ({ host }) => !this.alive(host) && !link.reachable(host),
        );
        const { fragments } = await pool.rebuild(got, manifest.scheme);
        const placed = [...slab.fragments];
        for (const [i, host] of spare.entries()) {
          const index = lost[i] as number;
          const old = slab.fragments[index] as PlacedFragment;
          await link.storeFragment(host.nodeId, old.root, fragments[index] as Uint8Array);
          placed[index] = { root: old.root, host: host.nodeId };
          left.push(old);
          added.set(host.nodeId, [...(added.get(host.nodeId) ?? []), old.root]);
        }
        slabs[at] = { ...slab, fragments: placed };
        if (left.length >= UNCOMMITTED_MAX) break;
      }
      if (left.length === 0) return 0;
      await Promise.all([...added].map(([host, roots]) => contractor.commit(host, roots)));
      await store.write([
        { key: `manifest/${manifest.name}`, value: jsonValue({ ...manifest, slabs }) },
        ...garbage(left),
      ]);
      return left.length;
    } finally {
      this.#busy.delete(manifest.name);
    }
  }

  /** Takes removed fragments out of the contracts of hosts that can be reached. Gives the number taken out. */
  async collectGarbage(): Promise<number> {
    const { store, link, contractor, ledger } = this.#options;
    const byHost = new Map<NodeId, Hash[]>();
    for (const { key } of await store.range('garbage/')) {
      const [, host, root] = key.split('/') as [string, NodeId, Hash];
      byHost.set(host, [...(byHost.get(host) ?? []), root]);
    }
    let count = 0;
    for (const [host, roots] of byHost) {
      const live = ledger.contractBetween(ledger.accountId, host);
      if (live !== undefined && !link.reachable(host)) continue;
      if (live !== undefined) await contractor.commit(host, [], roots);
      await store.write(roots.map((root) => ({ key: `garbage/${host}/${root}`, value: undefined })));
      count += roots.length;
    }
    return count;
  }
}

function spareCount(candidates: readonly Candidate[], keepers: ReadonlySet<NodeId>): number {
  return candidates.filter(
    (candidate) => candidate.reachable && !candidate.suspended && !keepers.has(candidate.nodeId),
  ).length;
}

function garbage(fragments: readonly PlacedFragment[]): readonly { key: string; value: Uint8Array }[] {
  return fragments.map(({ host, root }) => ({ key: `garbage/${host}/${root}`, value: new Uint8Array(0) }));
}

/** The hosts of one upload: the same for every slab as long as they do well. */
class Placement {
  readonly #options: FileStoreOptions;
  readonly #uploadId: string;
  readonly #candidates: readonly Candidate[];
  readonly #failed = new Set<NodeId>();
  readonly #uncommitted = new Map<NodeId, Hash[]>();
  readonly #committed: PlacedFragment[] = [];
  readonly #count: number;
  #hosts: readonly NodeId[];

  constructor(candidates: readonly Candidate[], count: number, options: FileStoreOptions, uploadId: string) {
    this.#options = options;
    this.#uploadId = uploadId;
    this.#candidates = candidates;
    this.#count = count;
    this.#hosts = chooseHosts(candidates, count, options.random).map(({ nodeId }) => nodeId);
  }

  async place(
    fragments: readonly { readonly root: Hash; readonly bytes: Uint8Array }[],
  ): Promise<readonly NodeId[]> {
    const hosts = [...this.#hosts];
    const taken = new Set(hosts);
    await Promise.all(
      fragments.map(async ({ root, bytes }, i) => {
        for (let host = hosts[i] as NodeId; ; ) {
          try {
            await this.#options.link.storeFragment(host, root, bytes);
            hosts[i] = host;
            this.#uncommitted.set(host, [...(this.#uncommitted.get(host) ?? []), root]);
            return;
          } catch (error) {
            if ((error as { code?: string; remoteCode?: string }).remoteCode === 'too-many-bytes-in-flight') {
              await this.#commit(host);
              continue;
            }
            this.#failed.add(host);
            // Throws `not-enough-hosts` when nobody is left.
            const [next] = chooseHosts(
              this.#candidates,
              1,
              this.#options.random,
              new Set([...taken, ...this.#failed]),
            );
            host = (next as Candidate).nodeId;
            taken.add(host);
          }
        }
      }),
    );
    this.#hosts = hosts.slice(0, this.#count);
    for (const [host, roots] of this.#uncommitted)
      if (roots.length >= UNCOMMITTED_MAX) await this.#commit(host);
    return hosts;
  }

  async commitAll(): Promise<void> {
    await Promise.all([...this.#uncommitted.keys()].map((host) => this.#commit(host)));
  }

  /** Remembers what is about to be under contract, so that a crash leaves no orphans, then makes it so. */
  async #commit(host: NodeId): Promise<void> {
    const roots = this.#uncommitted.get(host) ?? [];
    if (roots.length === 0) return;
    this.#uncommitted.set(host, []);
    for (const root of roots) this.#committed.push({ host, root });
    await this.#options.store.write([{ key: `upload/${this.#uploadId}`, value: jsonValue(this.#committed) }]);
    await this.#options.contractor.commit(host, roots);
  }
}
