import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, statfs } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { textOf } from '../../ledger/bytes.ts';
import type { Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { MarketError } from '../../market/errors.ts';
import type { FragmentShelf } from '../../market/host/shelf.ts';
import { jsonValue, type KeyValues } from '../../market/interfaces.ts';
import { prepareVolumeFolder } from './volume-folder.ts';

/**
 * Fragments on disk: a file each in a folder per volume, written under a temporary name, synced, renamed, and the folder
 * synced before it is acknowledged. The index says which volume holds what; a file that it does not name is not there.
 */

/** Room that a volume's disk must keep for everybody else. */
const DISK_RESERVE_BYTES = 256 * 1_048_576;

export interface Volume {
  readonly id: string;
  readonly folder: string;
  readonly limitBytes: number;
  /** Takes no new fragments; what it holds moves away. */
  readonly draining: boolean;
}

export interface VolumeUse extends Volume {
  readonly usedBytes: number;
  readonly fragments: number;
}

export class FragmentStore implements FragmentShelf {
  readonly #index: KeyValues;
  readonly #volumes = new Map<string, Volume>();
  readonly #places = new Map<Hash, { readonly volume: string; readonly storedMs: number }>();
  readonly #used = new Map<string, number>();
  readonly #arriving = new Map<Hash, Promise<void>>();

  private constructor(index: KeyValues) {
    this.#index = index;
  }

  /** Reads the index and sweeps what a crash left half-written. */
  static async open(index: KeyValues): Promise<FragmentStore> {
    const store = new FragmentStore(index);
    for (const { value } of await index.range('volume/')) store.#add(parse<Volume>(value));
    for (const { key, value } of await index.range('fragment/')) {
      const place = parse<{ volume: string; storedMs: number }>(value);
      store.#places.set(key.slice('fragment/'.length) as Hash, place);
      store.#used.set(place.volume, (store.#used.get(place.volume) ?? 0) + FRAGMENT_BYTES);
    }
    for (const { folder } of store.#volumes.values())
      await rm(join(folder, 'arriving'), { recursive: true, force: true });
    return store;
  }

  #add(volume: Volume): void {
    this.#volumes.set(volume.id, volume);
    if (!this.#used.has(volume.id)) this.#used.set(volume.id, 0);
  }

  volumes(): readonly VolumeUse[] {
    return [...this.#volumes.values()].map((volume) => {
      const usedBytes = this.#used.get(volume.id) ?? 0;
      return { ...volume, usedBytes, fragments: usedBytes / FRAGMENT_BYTES };
    });
  }

  get limitBytes(): number {
    return this.volumes().reduce((sum, volume) => sum + (volume.draining ? 0 : volume.limitBytes), 0);
  }

  get usedBytes(): number {
    return this.volumes().reduce((sum, volume) => sum + volume.usedBytes, 0);
  }

  get roomBytes(): number {
    return this.volumes().reduce(
      (sum, { draining, limitBytes, usedBytes }) =>
        sum + (draining ? 0 : Math.max(0, limitBytes - usedBytes)),
      0,
    );
  }

  /** Adds a folder as a volume, made when it is not there. Throws MarketError `exists`, NodeError `bad-folder`. */
  async addVolume(path: string, limitBytes: number): Promise<Volume> {
    const folder = resolve(path);
    if ([...this.#volumes.values()].some((volume) => volume.folder === folder))
      throw new MarketError('exists', `${folder} is a volume already`);
    await prepareVolumeFolder(folder);
    const volume: Volume = { id: randomBytes(4).toString('hex'), folder, limitBytes, draining: false };
    await this.#index.write([{ key: `volume/${volume.id}`, value: jsonValue(volume) }]);
    this.#add(volume);
    return volume;
  }

  /** A new limit; what is above it stays until it expires. Throws MarketError `unknown-volume`. */
  async resizeVolume(id: string, limitBytes: number): Promise<Volume> {
    return this.#change(id, { limitBytes });
  }

  /**
   * Moves everything to other volumes; what is lost or cannot be read stays behind. Throws MarketError `no-room` when they
   * cannot take it; what moved stays moved.
   */
  async drainVolume(id: string): Promise<void> {
    await this.#change(id, { draining: true });
    // What was on its way to this volume when it was chosen for it is moved with the rest.
    await Promise.allSettled([...this.#arriving.values()]);
    for (const [root, place] of [...this.#places]) {
      if (place.volume !== id || this.#places.get(root) !== place) continue;
      const bytes = await this.get(root).catch(() => undefined);
      if (bytes === undefined) continue;
      await this.#write(await this.#volumeWithRoom(), root, new Uint8Array(bytes), place.storedMs);
      await rm(this.#path(id, root), { force: true });
    }
  }

  /** Drains and forgets a volume, and what was lost with it. Throws MarketError `unknown-volume` or `no-room`. */
  async removeVolume(id: string): Promise<void> {
    await this.drainVolume(id);
    const lost = [...this.#places].filter(([, place]) => place.volume === id).map(([root]) => root);
    await this.#index.write([
      ...lost.map((root) => ({ key: `fragment/${root}`, value: undefined })),
      { key: `volume/${id}`, value: undefined },
    ]);
    for (const root of lost) this.#places.delete(root);
    this.#used.delete(id);
    this.#volumes.delete(id);
  }

  async #change(id: string, change: Partial<Volume>): Promise<Volume> {
    const volume = this.#volumes.get(id);
    if (volume === undefined)
      throw new MarketError('unknown-volume', `there is no volume ${id}; see "blocktree host volumes"`);
    const next = { ...volume, ...change };
    await this.#index.write([{ key: `volume/${id}`, value: jsonValue(next) }]);
    this.#volumes.set(id, next);
    return next;
  }

  has(root: Hash): boolean {
    return this.#places.has(root);
  }

  storedMs(root: Hash): number | undefined {
    return this.#places.get(root)?.storedMs;
  }

  roots(): Iterable<Hash> {
    return this.#places.keys();
  }

  /** Durable when it resolves. Throws MarketError `no-room`; what is there stays, what was lost is stored again. */
  async put(root: Hash, bytes: Uint8Array): Promise<void> {
    if (this.#places.has(root)) {
      if ((await this.get(root).catch(() => undefined)) !== undefined) return;
      await this.remove([root]);
    }
    const arriving = this.#arriving.get(root);
    if (arriving !== undefined) return arriving;
    const task = this.#volumeWithRoom().then((volume) => this.#write(volume, root, bytes, Date.now()));
    this.#arriving.set(root, task);
    try {
      await task;
    } finally {
      this.#arriving.delete(root);
    }
  }

  /** The bytes, `undefined` when they are not (or no longer) there. */
  async get(root: Hash): Promise<Uint8Array | undefined> {
    const place = this.#places.get(root);
    if (place === undefined) return undefined;
    try {
      const bytes = await readFile(this.#path(place.volume, root));
      return bytes.length === FRAGMENT_BYTES ? bytes : undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async remove(roots: readonly Hash[]): Promise<void> {
    await this.#index.write(roots.map((root) => ({ key: `fragment/${root}`, value: undefined })));
    for (const root of roots) {
      const place = this.#places.get(root);
      if (place === undefined) continue;
      this.#places.delete(root);
      this.#used.set(place.volume, (this.#used.get(place.volume) ?? 0) - FRAGMENT_BYTES);
      await rm(this.#path(place.volume, root), { force: true });
    }
  }

  #path(volume: string, root: Hash): string {
    const folder = this.#volumes.get(volume)?.folder ?? '';
    return join(folder, root.slice(0, 2), root);
  }

  async #volumeWithRoom(): Promise<Volume> {
    for (const volume of this.#volumes.values()) {
      const used = (this.#used.get(volume.id) ?? 0) + this.#arriving.size * FRAGMENT_BYTES;
      if (volume.draining || used + FRAGMENT_BYTES > volume.limitBytes) continue;
      const { bavail, bsize } = await statfs(volume.folder);
      if (bavail * bsize > DISK_RESERVE_BYTES) return volume;
    }
    throw new MarketError('no-room', 'every volume of this host is full');
  }

  async #write(volume: Volume, root: Hash, bytes: Uint8Array, storedMs: number): Promise<void> {
    const arriving = join(volume.folder, 'arriving');
    const folder = join(volume.folder, root.slice(0, 2));
    const temporary = join(arriving, `${root}.${randomBytes(4).toString('hex')}`);
    try {
      await mkdir(arriving, { recursive: true, mode: 0o700 });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, join(folder, root));
      const directory = await open(folder, 'r');
      await directory.sync();
      await directory.close();
    } catch (error) {
      await rm(temporary, { force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOSPC' || code === 'EDQUOT')
        throw new MarketError('no-room', 'the disk of this host is full');
      throw error;
    }
    const place = { volume: volume.id, storedMs };
    await this.#index.write([{ key: `fragment/${root}`, value: jsonValue(place) }]);
    const before = this.#places.get(root);
    if (before !== undefined)
      this.#used.set(before.volume, (this.#used.get(before.volume) ?? 0) - FRAGMENT_BYTES);
    this.#places.set(root, place);
    this.#used.set(volume.id, (this.#used.get(volume.id) ?? 0) + FRAGMENT_BYTES);
  }
}

function parse<T>(bytes: Uint8Array): T {
  return JSON.parse(textOf(bytes)) as T;
}
