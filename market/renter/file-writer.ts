import type { Hash, NodeId } from '../../ledger/ids.ts';
import { MarketError } from '../errors.ts';
import type { Manifest } from '../files/manifest.ts';
import { defaultScheme, type Scheme } from '../files/scheme.ts';
import type { SlabCoder } from '../files/slab-pool.ts';
import { upload as send, type UploadOptions } from '../files/upload.ts';
import type { HostLink, KeyValues, MarketLedger } from '../interfaces.ts';
import { type Arrivals, nameOf } from './arrivals.ts';
import type { Contractor } from './contractor.ts';
import type { HostBook } from './host-book.ts';
import { Placement } from './placement.ts';
import type { RepairTask } from './repair.ts';
import type { Upload, Uploads } from './uploads.ts';

/**
 * Writes files: their fragments go to hosts and under contract, then the manifest goes on disk. What an interrupted upload
 * of the same name has placed is not sent again.
 */

export interface FileWriterOptions {
  readonly ledger: MarketLedger;
  readonly link: HostLink;
  readonly contractor: Contractor;
  readonly book: HostBook;
  readonly pool: SlabCoder;
  readonly arrivals: Arrivals;
  readonly uploads: Uploads;
  /** The key that the keys of slabs are wrapped with. */
  readonly wrap: Uint8Array;
  /** Whether a host is thought to have what it was given, and to go on having it. */
  alive(host: NodeId): boolean;
  /** Rebuilds what hosts that are not alive were given; resolves to the number of fragments moved. */
  repair(task: RepairTask): Promise<number>;
  now(): number;
  random(): number;
}

export interface WriteOptions {
  /** That of the interrupted upload, or what the number of hosts allows, unless told. */
  readonly scheme?: Scheme | undefined;
  onProgress?(sentBytes: number): void;
}

export class FileWriter {
  readonly #options: FileWriterOptions;
  readonly #names = new Set<string>();

  constructor(options: FileWriterOptions) {
    this.#options = options;
  }

  /** The names that are being written. */
  get names(): ReadonlySet<string> {
    return this.#names;
  }

  /**
   * Sends what `source` gives to hosts, has it under contract, and lets `keep` put the manifest on disk, together with the
   * changes `also`. Throws MarketError (`exists`, `not-enough-hosts`, …) or the LedgerError of a refused contract.
   */
  async write(
    name: string,
    source: AsyncIterable<Uint8Array>,
    options: WriteOptions,
    keep: (manifest: Manifest, also: Parameters<KeyValues['write']>[0]) => Promise<void>,
  ): Promise<void> {
    const { ledger, link, book, pool, wrap, uploads, arrivals, alive, repair, now } = this.#options;
    if (this.#names.has(name))
      throw new MarketError(
        'exists',
        `"${name}" is being written at this moment; try again when that is done`,
      );
    this.#names.add(name);
    const arrival = arrivals.begin();
    try {
      const candidates = await book.candidates(ledger, link);
      const scheme = options.scheme ?? uploads.schemeOf(name) ?? defaultScheme(candidates.length);
      const upload = await uploads.begin(name, scheme);
      const known = await this.#knownOf(upload);
      const placement = new Placement(candidates, scheme.data + scheme.parity, arrival, this.#options);
      let manifest = await send(source, {
        name,
        scheme,
        wrap,
        pool,
        nowMs: now(),
        known,
        place: (fragments) => placement.place(fragments),
        placed: (index, plainHash, slab) => upload.placed(index, plainHash, slab),
        onProgress: options.onProgress ?? (() => undefined),
      });
      const refused = await placement.commitAll();
      // What those hosts were sent is rebuilt elsewhere, before the file is acknowledged.
      if (refused.size > 0)
        await repair({
          arrivals: { begin: () => ({ ...arrival, end: () => undefined }) },
          candidates: async () => candidates.filter(({ nodeId }) => !refused.has(nodeId)),
          alive: (host) => !refused.has(host) && alive(host),
          manifest: () => manifest,
          change: async (next) => {
            manifest = next(manifest) ?? manifest;
            return manifest;
          },
        });
      await keep(manifest, await upload.removal());
    } finally {
      this.#names.delete(name);
      arrival.end();
    }
  }

  /** The slabs that an interrupted upload has placed, where all of their fragments are, or come now, under contract. */
  async #knownOf(upload: Upload): Promise<UploadOptions['known']> {
    if (upload.slabs.length === 0) return undefined;
    const held = await this.#held(upload);
    return (index, plainHash) => {
      const slab = upload.known(index, plainHash);
      return slab?.fragments.every(({ host, root }) => held.has(nameOf(host, root))) ? slab : undefined;
    };
  }

  async #held({ slabs }: Upload): Promise<ReadonlySet<string>> {
    const { ledger, link, contractor, alive } = this.#options;
    const placed = new Map<NodeId, Hash[]>();
    for (const { fragments } of slabs)
      for (const { host, root } of fragments) placed.set(host, [...(placed.get(host) ?? []), root]);
    const held = new Set<string>();
    const agree = async (host: NodeId, roots: readonly Hash[]): Promise<void> => {
      // Some may be under contract in any case, and a host that is away is not waited for.
      if (link.reachable(host)) await contractor.commit(host, roots).catch(() => undefined);
      const live = ledger.contractBetween(ledger.accountId, host);
      if (live === undefined || !alive(host)) return;
      const list = new Set(contractor.listOf(live.id, live.contract));
      for (const root of roots) if (list.has(root)) held.add(nameOf(host, root));
    };
    await Promise.allSettled([...placed].map(([host, roots]) => agree(host, roots)));
    return held;
  }
}
