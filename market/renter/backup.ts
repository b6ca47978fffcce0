import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import type { NodeId } from '../../ledger/ids.ts';
import { codeOf, MarketError } from '../errors.ts';
import type { Manifest } from '../files/manifest.ts';
import { type HostLink, jsonValue, type KeyValues, type MarketLedger, readJson } from '../interfaces.ts';
import { type Manifests, SNAPSHOT } from './manifests.ts';
import { NOTE_BYTES_MAX, type Note, noteKey, sealNote } from './note.ts';

/**
 * Keeps the manifests on the network: every change goes into a note that all hosts of this renter get; when the note
 * becomes long, a snapshot of all manifests is stored as a file of its own and the note begins anew.
 */

/** A note that is longer is folded into a snapshot. */
const FOLD_BYTES = 128 * 1_024;
/** JSON of manifests is not looked at beyond so many bytes for each of a note: it would hardly shrink more. */
const JSON_PER_BYTE = 8;
/** Hosts that get the note: any one of them is enough to find everything. */
const HOSTS_MAX = 32;
/** How long an upload waits for its note to arrive. */
const SAVED_MS = 5_000;
const SEQUENCE = 'note-sequence';

export interface BackupOptions {
  readonly ledger: MarketLedger;
  readonly link: Pick<HostLink, 'keepNote' | 'reachable'>;
  readonly store: KeyValues;
  readonly manifests: Manifests;
  readonly filesSecret: Uint8Array;
  /** Whether what this data folder knows is what is to be known: not before, nor during, a recovery. */
  isWhole(): Promise<boolean>;
  /** A note that is longer is folded into a snapshot. */
  readonly foldBytes?: number | undefined;
  /** Stores a file without a name for the owner; `write` is given its manifest, and what is to be written with it. */
  keep(
    source: AsyncIterable<Uint8Array>,
    write: (manifest: Manifest, also: Parameters<KeyValues['write']>[0]) => Promise<void>,
  ): Promise<void>;
}

export class Backup {
  readonly #options: BackupOptions;
  readonly #key: Uint8Array;
  /** The newest note, and who has it. */
  #note: { readonly sequence: number; readonly bytes: Uint8Array; readonly hosts: Set<NodeId> } | undefined;
  /** Changes up to now, and those that the newest note has. */
  #changes = 1;
  #noted = 0;
  /** A host knows a newer note: this account's files are kept from another data folder. */
  #overtaken = false;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<number> | undefined;

  constructor(options: BackupOptions) {
    this.#options = options;
    this.#key = noteKey(options.filesSecret);
  }

  async open(): Promise<void> {
    const { store, manifests } = this.#options;
    // What was stored before there were notes is in none.
    if (readJson<number>(store, SEQUENCE) === undefined) {
      await manifests.markAll();
      await store.write([{ key: SEQUENCE, value: jsonValue(0) }]);
    }
  }

  get sequence(): number {
    return readJson<number>(this.#options.store, SEQUENCE) ?? 0;
  }

  get overtaken(): boolean {
    return this.#overtaken;
  }

  /** Goes on from the note that was recovered. */
  async goOn(sequence: number): Promise<void> {
    if (sequence > this.sequence)
      await this.#options.store.write([{ key: SEQUENCE, value: jsonValue(sequence) }]);
    this.#overtaken = false;
    this.changed();
  }

  /** Something of the manifests is other than the newest note says. */
  changed(): void {
    this.#changes++;
  }

  /** Whether a host should get a note. */
  async isDue(): Promise<boolean> {
    if (this.#overtaken || !(await this.#options.isWhole())) return false;
    const hosts = await this.#hosts();
    if (this.#changes !== this.#noted) return hosts.length > 0;
    return hosts.some((host) => this.#note?.hosts.has(host) !== true);
  }

  async #hosts(): Promise<readonly NodeId[]> {
    const { ledger, link } = this.#options;
    const renting = await ledger.contractsOf('renter');
    return renting
      .map(({ contract }) => ledger.hostNodeOf(contract))
      .filter((host) => link.reachable(host))
      .slice(0, HOSTS_MAX);
  }

  /** Waits a little until hosts have what changed up to now; a job goes on with what does not arrive. */
  async saved(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, SAVED_MS);
    });
    await Promise.race([this.publish().catch(() => undefined), late]);
    clearTimeout(timer);
  }

  /**
   * Gives every host of this renter the newest note; resolves to the number of hosts that have it. Throws MarketError
   * `outdated` when one knows a newer one, or what kept a snapshot from being stored.
   */
  publish(): Promise<number> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const publishing = this.#publish();
      this.#running = publishing.catch(() => undefined);
      return publishing;
    });
    return this.#next;
  }

  async #publish(): Promise<number> {
    const { link } = this.#options;
    if (this.#overtaken) throw outdated();
    const hosts = await this.#hosts();
    if (hosts.length === 0 || !(await this.#options.isWhole())) return 0;
    if (this.#changes !== this.#noted) await this.#compose();
    const note = this.#note;
    if (note === undefined) return 0;
    await Promise.all(
      hosts
        .filter((host) => !note.hosts.has(host))
        .map(async (host) => {
          try {
            await link.keepNote(host, note);
            note.hosts.add(host);
          } catch (error) {
            if (codeOf(error) === 'outdated') this.#overtaken = true;
          }
        }),
    );
    if (this.#overtaken) throw outdated();
    return note.hosts.size;
  }

  async #compose(): Promise<void> {
    const { store, foldBytes = FOLD_BYTES } = this.#options;
    const sequence = this.sequence + 1;
    const changes = this.#changes;
    const seal = async (): Promise<Uint8Array | undefined> => {
      const note = await this.#content(JSON_PER_BYTE * foldBytes);
      return note && sealNote(note, sequence, this.#key);
    };
    let bytes = await seal();
    if (bytes === undefined || bytes.length > foldBytes) {
      await this.#fold();
      bytes = await seal();
    }
    if (bytes === undefined || bytes.length > NOTE_BYTES_MAX)
      throw new MarketError('wrong-size', 'the list of files is too long for the notes that hosts take');
    await store.write([{ key: SEQUENCE, value: jsonValue(sequence) }]);
    this.#note = { sequence, bytes, hosts: new Set() };
    this.#noted = changes;
  }

  /** `undefined` when the manifests that changed are longer than that, as JSON. */
  async #content(changedBytesMax: number): Promise<Note | undefined> {
    const { manifests } = this.#options;
    const changes: [string, Manifest | null][] = [];
    let bytes = 0;
    for (const { name } of await manifests.marks()) {
      const manifest = manifests.get(name) ?? null;
      changes.push([name, manifest]);
      bytes += JSON.stringify(manifest).length;
      if (bytes > changedBytesMax) return undefined;
    }
    return { version: 1, snapshot: manifests.get(SNAPSHOT), changes };
  }

  /** Stores a snapshot of all manifests. */
  async #fold(): Promise<void> {
    const { manifests, keep } = this.#options;
    const marks = await manifests.marks();
    if (marks.length > 0)
      await keep(snapshotOf(manifests), (snapshot, also) => manifests.fold(snapshot, marks, also));
  }
}

/** The manifests of all files as JSON lines, compressed. */
function snapshotOf(manifests: Manifests): AsyncIterable<Uint8Array> {
  async function* lines(): AsyncGenerator<string> {
    for await (const manifest of manifests.all())
      if (manifest.name !== SNAPSHOT) yield `${JSON.stringify(manifest)}\n`;
  }
  const source = Readable.from(lines());
  const zipped = createGzip();
  source.on('error', (error) => zipped.destroy(error));
  return source.pipe(zipped);
}

function outdated(): MarketError {
  return new MarketError(
    'outdated',
    'hosts know a newer list of files of this account; "blocktree recover" takes it over',
  );
}
