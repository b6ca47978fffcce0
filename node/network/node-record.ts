import * as P from 'micro-packed';
import { concat } from '../../ledger/bytes.ts';
import {
  boundedList,
  boundedText,
  type Codec,
  decode,
  encode,
  nodeIdCodec,
  onCurve,
  safeU64,
  signatureCodec,
} from '../../ledger/codec.ts';
import { sign, signingDigest, verify } from '../../ledger/crypto/secp256k1.ts';
import { demand } from '../../ledger/errors.ts';
import { type ChainId, idBytes, type NodeId } from '../../ledger/ids.ts';

/** Where a node is reached, signed by its key; the record with the highest sequence counts. */
export interface NodeRecord {
  readonly nodeId: NodeId;
  /** host:port */
  readonly addresses: readonly string[];
  readonly sequence: number;
  readonly signature: Uint8Array;
}

export const RECORD_BYTES_MAX = 4_096;
/** The most records that one message carries. */
export const RECORDS_MAX = 64;

const fields = {
  nodeId: onCurve(nodeIdCodec),
  addresses: boundedList(8, boundedText(255)),
  sequence: safeU64,
};
const unsignedCodec = P.struct(fields) as unknown as Codec<Omit<NodeRecord, 'signature'>>;
const recordCodec = P.struct({ ...fields, signature: signatureCodec }) as unknown as Codec<NodeRecord>;
const recordsCodec = boundedList(RECORDS_MAX, recordCodec);

function digest(
  chainId: ChainId,
  { nodeId, addresses, sequence }: Omit<NodeRecord, 'signature'>,
): Uint8Array {
  return signingDigest(
    'record',
    idBytes(chainId),
    encode(unsignedCodec, { nodeId, addresses: [...addresses], sequence }, 'node record'),
  );
}

/** Signs a record of this node with its 32-byte secret key. */
export function signRecord(
  chainId: ChainId,
  record: Omit<NodeRecord, 'signature'>,
  nodeSecret: Uint8Array,
): NodeRecord {
  return { ...record, signature: sign(digest(chainId, record), nodeSecret) };
}

/** Throws LedgerError `bad-record` or `malformed`. */
export function checkRecord(chainId: ChainId, record: NodeRecord): void {
  demand(
    verify(record.signature, digest(chainId, record), idBytes(record.nodeId)),
    'bad-record',
    'the node must sign its record',
  );
  for (const address of record.addresses)
    demand(splitAddress(address) !== undefined, 'bad-record', 'expected addresses such as host:7000');
}

/** Every record is told many times: to each new peer, and to the disk. */
const encoded = new WeakMap<NodeRecord, Uint8Array>();

function encodeRecord(record: NodeRecord): Uint8Array {
  const bytes = encoded.get(record) ?? encode(recordCodec, record, 'node record');
  encoded.set(record, bytes);
  return bytes;
}

/** At most RECORDS_MAX of them. */
export function encodeRecords(records: readonly NodeRecord[]): Uint8Array {
  return concat(Uint8Array.of(records.length >> 8, records.length), ...records.map(encodeRecord));
}

/** Throws LedgerError `malformed`. */
export function decodeRecords(bytes: Uint8Array): readonly NodeRecord[] {
  return decode(recordsCodec, bytes, 'node records');
}

/** host and port of `host:port` or `[v6]:port`. */
export function splitAddress(address: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}
