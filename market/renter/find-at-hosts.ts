import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Hash, NodeId } from '../../ledger/ids.ts';
import { newestRoot } from '../../ledger/state/contract-terms.ts';
import { codeOf, MarketError } from '../errors.ts';
import type { Manifest } from '../files/manifest.ts';
import { commitmentOf } from '../fragment-list.ts';
import type { HostLink, LiveContract, MarketLedger } from '../interfaces.ts';
import type { Contractor } from './contractor.ts';
import { type Note, noteKey, openNote } from './note.ts';

/**
 * Everything again from the secret of an account: the ledger says who its hosts are, hosts give the note and what is
 * under contract, the note leads to the manifests.
 */

export interface FindOptions {
  readonly ledger: MarketLedger;
  readonly link: Pick<HostLink, 'fetchNote' | 'listFragments'>;
  readonly contractor: Pick<Contractor, 'knows' | 'takeUp'>;
  readonly filesSecret: Uint8Array;
  /** The content of a file. */
  read(manifest: Manifest): AsyncIterable<Uint8Array>;
}

/** What hosts gave. */
export interface Found {
  /** Number of the newest note; `undefined` when no host has one. */
  readonly sequence: number | undefined;
  /** Manifests by name; `null` was removed. */
  readonly files: ReadonlyMap<string, Manifest | null>;
  readonly snapshot: Manifest | undefined;
  /** Hosts of live contracts that did not answer. */
  readonly silent: readonly NodeId[];
}

interface Answer {
  readonly sequence: number;
  readonly note: Note;
}

/** Asks all hosts for the note. Throws MarketError `not-enough-fragments` when the snapshot of the newest cannot be read now. */
export async function findFiles(
  hosts: readonly NodeId[],
  { link, filesSecret, read }: Pick<FindOptions, 'link' | 'filesSecret' | 'read'>,
): Promise<Found> {
  const key = noteKey(filesSecret);
  const silent: NodeId[] = [];
  const answers: Answer[] = [];
  await Promise.all(
    hosts.map(async (host) => {
      try {
        const { sequence, bytes } = await link.fetchNote(host);
        answers.push({ sequence, note: openNote(bytes, sequence, key) });
      } catch (error) {
        // It has none, or made one up: nothing more will come from it.
        if (codeOf(error) !== 'not-found' && codeOf(error) !== 'damaged') silent.push(host);
      }
    }),
  );
  answers.sort((a, b) => b.sequence - a.sequence);
  const [newest] = answers;
  const files = new Map<string, Manifest | null>();
  const snapshot = newest?.note.snapshot;
  if (snapshot !== undefined)
    for await (const manifest of manifestsIn(read(snapshot))) files.set(manifest.name, manifest);
  for (const [name, manifest] of newest?.note.changes ?? []) files.set(name, manifest);
  return { sequence: newest?.sequence, files, snapshot, silent };
}

async function* manifestsIn(content: AsyncIterable<Uint8Array>): AsyncGenerator<Manifest> {
  const source = Readable.from(content);
  const plain = createGunzip();
  source.on('error', (error) => plain.destroy(error));
  source.pipe(plain);
  let rest = '';
  const text = new TextDecoder();
  for await (const chunk of plain as AsyncIterable<Uint8Array>) {
    const lines = (rest + text.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() as string;
    for (const line of lines) yield JSON.parse(line) as Manifest;
  }
}

/** Fetches the lists of fragments under contract that this data folder has not got. Gives hosts whose list is still missing. */
export async function findLists({ ledger, link, contractor }: FindOptions): Promise<readonly NodeId[]> {
  const missing: NodeId[] = [];
  await Promise.all(
    (await ledger.contractsOf('renter')).map(async (live) => {
      if (contractor.knows(live.contract)) return;
      const host = ledger.hostNodeOf(live.contract);
      try {
        await contractor.takeUp(await listOf(live, host, link));
      } catch {
        missing.push(host);
      }
    }),
  );
  return missing;
}

/** The fragments of a contract as its host has them, which the contract's root proves. Throws MarketError `damaged`. */
async function listOf(
  { id, contract }: LiveContract,
  host: NodeId,
  link: Pick<HostLink, 'listFragments'>,
): Promise<readonly Hash[]> {
  const { root, leafCount } = newestRoot(contract);
  const list: Hash[] = [];
  for (;;) {
    const part = await link.listFragments(host, id, list.length);
    list.push(...part);
    const now = commitmentOf(list);
    if (now.leafCount < leafCount && part.length > 0) continue;
    if (now.root === root && now.leafCount === leafCount) return list;
    throw new MarketError('damaged', 'the host gave other fragments than are under contract');
  }
}
