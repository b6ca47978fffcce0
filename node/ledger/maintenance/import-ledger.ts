import {
  type Block,
  type BlockHeader,
  blockIdOf,
  decodeBlock,
  decodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import { equalBytes } from '../../../ledger/bytes.ts';
import { FIRST_KEY } from '../../../ledger/commitment/range-proof.ts';
import { verifyChunk } from '../../../ledger/commitment/state-chunk.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import {
  type Boundary,
  checkFinal,
  decodeBoundary,
  followBoundaries,
} from '../../../ledger/consensus/trust-chain.ts';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { demand, LedgerError } from '../../../ledger/errors.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import type { Chain } from '../chain/chain.ts';
import { replayBlocks } from '../chain/replay.ts';
import { type CertifiedHeader, decodeCertified } from '../store/finality.ts';
import { StagedState } from '../store/staged-state.ts';
import { damaged, type FileHead, FRAME, readFrames, readHead } from './ledger-file.ts';

/** Taking a ledger file over: first all that proves it, then blocks by executing them, or a state chunk by chunk. */

export interface ImportReport {
  readonly kind: FileHead['kind'];
  /** The heights before and after. */
  readonly from: number;
  readonly height: number;
}

/** `part` names what goes on: `proof`, `blocks`, `state`; amounts are bytes of the file. */
type Progress = (part: string, doneBytes: number) => void;

/** What a file proves: its newest block from genesis on, and that block's ancestors by id. */
interface Proven {
  readonly head: FileHead;
  readonly boundaries: readonly Boundary[];
  readonly newest: CertifiedHeader;
  /** The hash of all of it: the file is read twice, and must be the same one. */
  readonly seal: Uint8Array;
}

/**
 * Takes over what a file holds beyond what is here. Started again after it was cut off, it goes on where it was.
 * Throws NodeError `file-damaged`, `not-found`, `not-a-file`, `data-of-another-chain`.
 */
export async function importLedger(
  chain: Chain,
  path: string,
  onProgress: Progress = () => undefined,
): Promise<ImportReport> {
  const head = await readHead(path);
  if (head.chainId !== chain.rules.chainId)
    throw new NodeError('data-of-another-chain', `${path} is of another network than this data folder`);
  const from = chain.final.height;
  try {
    const proven = await prove(chain, path, head, onProgress);
    if (head.height > from) {
      if (head.kind === 'export') await importBlocks(chain, path, proven, onProgress);
      else await importState(chain, path, proven, onProgress);
    }
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new NodeError(
      'file-damaged',
      `${path} is not what it says: ${error.message}. What was taken over up to block ${chain.final.height} is sound`,
    );
  }
  return { kind: head.kind, from, height: chain.final.height };
}

/**
 * Reads the whole file once, so that nothing of one that proves nothing is ever executed. What does not follow from genesis
 * ends it at once: no file makes it keep more than a ledger has boundaries.
 */
async function prove(chain: Chain, path: string, head: FileHead, onProgress: Progress): Promise<Proven> {
  const { chainId } = chain.rules;
  const boundaries: Boundary[] = [];
  let committee = new Committee(chainId, 0, chain.genesis.committee);
  let newest: CertifiedHeader | undefined;
  let seal: Uint8Array = new Uint8Array(0);
  let previous = chain.store.idAt(0) as BlockId;
  let height = 0;
  const follow = (bytes: Uint8Array): void => {
    const header = decodeHeader(bytes);
    height++;
    demand(
      header.parentId === previous && header.height === height && height <= head.height,
      'bad-block',
      `block ${height} does not follow the one before it`,
    );
    previous = blockIdOf(header);
    const here = height <= chain.final.height ? chain.store.idAt(height) : previous;
    if (here !== previous)
      throw new NodeError(
        'data-of-another-chain',
        `${path} has another block at height ${height} than this ledger: one of the two is not of this network`,
      );
  };
  for await (const { type, payload, endByte } of readFrames(path)) {
    onProgress('proof', endByte);
    if (type === FRAME.boundary) {
      const boundary = decodeBoundary(payload);
      committee = followBoundaries(chainId, committee, [boundary]);
      boundaries.push(boundary);
    } else if (type === FRAME.final) {
      newest = decodeCertified(payload);
      checkFinal(committee, newest.header, newest.certificate);
    } else if (type === FRAME.block && head.kind === 'export') follow(payload.subarray(0, HEADER_BYTES));
    else if (type === FRAME.headers && head.kind === 'snapshot')
      for (let at = 0; at < payload.length; at += HEADER_BYTES)
        follow(payload.subarray(at, at + HEADER_BYTES));
    else if (type === FRAME.end) seal = payload;
    else if (type !== FRAME.head && (type !== FRAME.chunk || head.kind !== 'snapshot'))
      throw damaged(path, `it holds a part of kind ${type} that does not belong there`);
  }
  if (newest === undefined) throw damaged(path, 'what proves it is missing');
  demand(
    blockIdOf(newest.header) === previous && head.blockId === previous && head.height === height,
    'bad-block',
    'its last block is not the one that is proven',
  );
  return { head, boundaries, newest, seal };
}

async function importBlocks(chain: Chain, path: string, proven: Proven, onProgress: Progress): Promise<void> {
  const { boundaries, newest } = proven;
  const certificates = new Map<BlockId, Certificate>(
    [...boundaries, newest].map(({ header, certificate }) => [blockIdOf(header), certificate]),
  );
  const blocks = async function* (): AsyncGenerator<Block> {
    let height = 0;
    for await (const { type, payload, endByte } of readFrames(path)) {
      if (type !== FRAME.block || ++height <= chain.final.height) continue;
      yield decodeBlock(payload);
      onProgress('blocks', endByte);
    }
  };
  await replayBlocks(chain, blocks(), { certificateOf: (id) => certificates.get(id) });
}

async function importState(chain: Chain, path: string, proven: Proven, onProgress: Progress): Promise<void> {
  const { boundaries, newest, seal } = proven;
  const begun = StagedState.begun(chain.store);
  // What was fetched from peers is in many parts: a file has but one.
  const goesOn =
    begun !== undefined &&
    begun.missing.length < 2 &&
    blockIdOf(begun.target.header) === blockIdOf(newest.header);
  const staged = goesOn
    ? begun
    : await StagedState.begin(chain.store, newest, [{ from: FIRST_KEY, to: undefined }]);
  let from: string | undefined = FIRST_KEY;
  for await (const { type, payload, endByte } of readFrames(path)) {
    if (type === FRAME.headers) await staged.addHeaders(headersIn(payload));
    if (type === FRAME.end && !equalBytes(payload, seal)) throw damaged(path, 'it changed while it was read');
    if (type !== FRAME.chunk) continue;
    const chunk = verifyChunk(newest.header.stateRoot, payload);
    demand(chunk.from === from, 'bad-path', 'a chunk of the state is missing');
    const [part] = staged.missing;
    if (part?.from === from) await staged.add(part, chunk.to, chunk.rows);
    from = chunk.to;
    onProgress('state', endByte);
  }
  demand(
    from === undefined && staged.missing.length === 0,
    'bad-path',
    'the last chunks of the state are missing',
  );
  await chain.adopt(staged, boundaries);
}

function headersIn(payload: Uint8Array): readonly BlockHeader[] {
  return Array.from({ length: payload.length / HEADER_BYTES }, (_, at) =>
    decodeHeader(payload.subarray(at * HEADER_BYTES, (at + 1) * HEADER_BYTES)),
  );
}
