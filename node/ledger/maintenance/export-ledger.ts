import { encodeHeader } from '../../../ledger/block.ts';
import { concat } from '../../../ledger/bytes.ts';
import { encodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import type { Chain } from '../chain/chain.ts';
import { boundariesBefore, encodeCertified, newestCertified } from '../store/finality.ts';
import type { LedgerStore } from '../store/ledger-store.ts';
import { cutChunks } from '../store/state-chunks.ts';
import { encodeHead, type FileHead, FRAME, LedgerFileWriter, writeError } from './ledger-file.ts';

/** Headers of one frame: under 1 MiB. */
export const HEADERS_PER_FRAME = 4_096;

export interface FileReport {
  readonly file: string;
  readonly kind: FileHead['kind'];
  readonly height: number;
  readonly blockId: BlockId;
  readonly bytes: number;
}

/**
 * Writes all final blocks with what proves them, one by one. Throws NodeError `exists`, `not-synced`, `pruned`,
 * `data-damaged`, and as `writeError`.
 */
export async function exportLedger(
  chain: Chain,
  path: string,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<FileReport> {
  const { store } = chain;
  if (store.prunedHeight > 0)
    throw new NodeError(
      'pruned',
      `the bodies of blocks up to ${store.prunedHeight} are pruned here; "blocktree ledger snapshot FILE" writes what there is`,
    );
  return writeFile(chain, 'export', path, async (file) => {
    const { height: top } = chain.final;
    for (let height = 1; height <= top; height++) {
      await file.write(FRAME.block, store.blockBytes(idAt(store, height)) ?? missing(height));
      onProgress(height, top);
    }
  });
}

/** Writes all headers and the state after the newest, with what proves it. Throws as `exportLedger`, but for `pruned`. */
export async function writeSnapshot(
  chain: Chain,
  path: string,
  onProgress: (done: number, total: number) => void = () => undefined,
): Promise<FileReport> {
  const { store } = chain;
  return writeFile(chain, 'snapshot', path, async (file) => {
    let headers: Uint8Array[] = [];
    for (let height = 1; height <= chain.final.height; height++) {
      const header = store.header(idAt(store, height));
      headers.push(header === undefined ? missing(height) : encodeHeader(header));
      if (headers.length < HEADERS_PER_FRAME && height < chain.final.height) continue;
      await file.write(FRAME.headers, concat(...headers));
      headers = [];
    }
    for await (const { bytes, done } of cutChunks(store)) {
      await file.write(FRAME.chunk, bytes);
      onProgress(Math.floor(done * 1_000), 1_000);
    }
  });
}

async function writeFile(
  chain: Chain,
  kind: FileHead['kind'],
  path: string,
  writeParts: (file: LedgerFileWriter) => Promise<void>,
): Promise<FileReport> {
  const { store, rules } = chain;
  const newest = newestCertified(store);
  if (newest === undefined)
    throw new NodeError(
      'not-synced',
      store.final.height === 0
        ? 'this ledger has no blocks yet'
        : `the newest block here, ${store.final.height}, is not proven by itself yet: let the node catch up first`,
    );
  const { id: blockId, height } = store.final;
  const boundaries = boundariesBefore(store, newest.certificate.epoch);
  const file = await LedgerFileWriter.create(path);
  try {
    await file.write(FRAME.head, encodeHead({ kind, chainId: rules.chainId, height, blockId }));
    for (const boundary of boundaries) await file.write(FRAME.boundary, encodeBoundary(boundary));
    await file.write(FRAME.final, encodeCertified(newest));
    await writeParts(file);
    await file.finish();
    return { file: path, kind, height, blockId, bytes: file.bytes };
  } catch (error) {
    await file.abandon();
    throw writeError(path, error);
  }
}

function idAt(store: LedgerStore, height: number): BlockId {
  return store.idAt(height) ?? missing(height);
}

function missing(height: number): never {
  throw new NodeError(
    'data-damaged',
    `block ${height} is missing in this ledger: "blocktree ledger verify" lists what is damaged`,
  );
}
