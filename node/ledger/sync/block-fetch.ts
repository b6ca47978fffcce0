import { setTimeout as pause } from 'node:timers/promises';
import * as P from 'micro-packed';
import {
  type BlockHeader,
  blockIdOf,
  decodeBlockInSteps,
  decodeHeader,
  encodeHeader,
  HEADER_BYTES,
} from '../../../ledger/block.ts';
import { concat } from '../../../ledger/bytes.ts';
import { blockIdCodec, boundedList, type Codec, decode, encode } from '../../../ledger/codec.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { Breather, inSteps } from '../../breather.ts';
import { KIND } from '../../network/kinds.ts';
import type { Network } from '../../network/network.ts';
import { NetworkError } from '../../network/network-error.ts';
import { ServingSlots } from '../../network/serving-slots.ts';
import type { Chain } from '../chain/chain.ts';
import { BodyStream, type BodyStreamOptions, type FetchedBlock } from './body-stream.ts';

/** Blocks by id from other nodes: headers backwards, each vouched for by the id it was asked by, then bodies. */

const HEADERS_MAX = 4_096;
/** Requests for headers that are answered at a time, for all peers and for one: each may take thousands of reads. */
const HEADERS_SERVED_MAX = 8;
const HEADERS_SERVED_PER_PEER_MAX = 3;
const BLOCKS_MAX = 256;
/** Up to this many blocks travel over the shared link, more over connections of their own. */
const FEW = 4;
/** How long one peer may take before another is asked for the same: votes may wait for a few blocks. */
const SLOW_FEW_MS = 300;
const SLOW_MANY_MS = 1_500;
/** Up to this many headers are wanted at once. */
const HEADERS_FEW = 64;
const HEADERS_FEW_DEADLINE_MS = 1_000;
const HEADERS_DEADLINE_MS = 10_000;
const ANSWER_BYTES_MAX = 1_200_000;

const headersRequest = P.struct({ from: blockIdCodec, count: P.U16BE }) as Codec<{
  from: BlockId;
  count: number;
}>;
const blocksRequest = boundedList(BLOCKS_MAX, blockIdCodec);
const blocksAnswer = P.array(P.U16BE, P.bytes(P.U32BE));

/** Answers the requests of other nodes for headers and blocks. */
export function serveBlocks(
  network: Network,
  chain: Chain,
  unfinal: (id: BlockId) => Uint8Array | undefined,
): void {
  const slots = new ServingSlots(HEADERS_SERVED_MAX, HEADERS_SERVED_PER_PEER_MAX);
  network.handle(KIND.getHeaders, 64, (peer, body) =>
    slots.answer(peer, async () => {
      const { from, count } = decode(headersRequest, body, 'a request for headers');
      const headers: Uint8Array[] = [];
      const breather = new Breather();
      let id = from;
      for (let n = Math.min(count, HEADERS_MAX); n > 0; n--) {
        if (breather.due) await breather.breathe();
        const header = chain.header(id);
        if (header === undefined || header.height === 0) break;
        headers.push(chain.store.headerBytes(id) ?? encodeHeader(header));
        id = header.parentId;
      }
      return concat(...headers);
    }),
  );
  network.handle(KIND.getBlocks, 10_000, (_, body) => {
    const found: Uint8Array[] = [];
    let size = 0;
    for (const id of decode(blocksRequest, body, 'a request for blocks')) {
      const bytes = unfinal(id) ?? chain.blockBytes(id);
      if (bytes === undefined || (size > 0 && size + bytes.length > ANSWER_BYTES_MAX)) break;
      found.push(bytes);
      size += bytes.length;
    }
    return encode(blocksAnswer, found, 'blocks');
  });
}

/** Asks `peers` in turn until one gives headers that lead back from `from`; at most `count`, newest first. */
export async function fetchHeaders(
  network: Network,
  peers: () => readonly NodeId[],
  from: BlockId,
  count: number,
  signal: AbortSignal,
): Promise<readonly BlockHeader[]> {
  return askInTurn(peers, signal, async (peer) => {
    const body = encode(headersRequest, { from, count: Math.min(count, HEADERS_MAX) }, 'request');
    const answer = await network.request(peer, KIND.getHeaders, body, {
      deadlineMs: count <= HEADERS_FEW ? HEADERS_FEW_DEADLINE_MS : HEADERS_DEADLINE_MS,
    });
    if (answer.length === 0 || answer.length % HEADER_BYTES !== 0)
      throw new LedgerError('malformed', 'expected headers');
    const headers: BlockHeader[] = [];
    const breather = new Breather();
    let expected = from;
    for (let at = 0; at < answer.length; at += HEADER_BYTES) {
      if (breather.due) await breather.breathe();
      const header = decodeHeader(answer.subarray(at, at + HEADER_BYTES));
      if (blockIdOf(header) !== expected)
        throw new LedgerError('bad-block', 'a header that was not asked for');
      headers.push(header);
      expected = header.parentId;
    }
    return headers;
  });
}

/** Blocks by id, oldest first, from several peers at once; see BodyStream. */
export function streamBlocks(
  network: Network,
  options: Omit<BodyStreamOptions, 'ask' | 'slowMs'>,
): BodyStream {
  const bulk = options.ids.length > FEW;
  return new BodyStream({
    ...options,
    slowMs: bulk ? SLOW_MANY_MS : SLOW_FEW_MS,
    async ask(peer, ids) {
      const answer = await network.request(peer, KIND.getBlocks, encode(blocksRequest, [...ids], 'request'), {
        bulk,
      });
      const found: FetchedBlock[] = [];
      for (const bytes of decode(blocksAnswer, answer, 'blocks'))
        found.push({ block: await inSteps(decodeBlockInSteps(bytes)), bytes: bytes.length });
      return found;
    },
  });
}

/** Rotates over the peers, slower with every round, until one answers well or the signal ends it. */
async function askInTurn<T>(
  peers: () => readonly NodeId[],
  signal: AbortSignal,
  ask: (peer: NodeId) => Promise<T>,
): Promise<T> {
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    for (const peer of peers()) {
      signal.throwIfAborted();
      try {
        return await ask(peer);
      } catch (error) {
        if (!(error instanceof LedgerError) && !(error instanceof NetworkError)) throw error;
      }
    }
    await pause(waitMs, undefined, { signal });
  }
}
