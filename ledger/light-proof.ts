import { type BlockHeader, decodeHeader, encodeHeader } from './block.ts';
import { fromHex, toHex } from './bytes.ts';
import { decode } from './codec.ts';
import { type StateProof, verifyState } from './commitment/state-proof.ts';
import { type Committee, ecdsaVerifier, type Verifier } from './consensus/committee.ts';
import { decodeCertificate, encodeCertificate } from './consensus/messages.ts';
import { type Boundary, checkFinal, decodeBoundary, followBoundaries } from './consensus/trust-chain.ts';
import type { Certificate } from './consensus/votes.ts';
import { demand, LedgerError } from './errors.ts';
import type { ChainId } from './ids.ts';
import { stateKey } from './state/draft.ts';
import type { Table } from './state/entities.ts';

/**
 * What convinces somebody who holds one committee, and nothing else of the chain, that a row of the state is what a node
 * says it is, or that there is none: the boundaries from that committee to the present one, a header, its Finalization,
 * and the path from the row to the header's state root. Runs in browsers.
 */
export interface LightProof {
  /** From the epoch that is trusted to the header's, oldest first. */
  readonly boundaries: readonly Boundary[];
  readonly header: BlockHeader;
  readonly certificate: Certificate;
  /** The encoded row; `undefined` proves that there is none. */
  readonly row: Uint8Array | undefined;
  readonly path: StateProof;
}

/** A proof as it is given out: the boundaries as they are stored, since there may be a megabyte of them. */
export interface EncodedLightProof extends Omit<LightProof, 'boundaries'> {
  readonly boundaries: readonly Uint8Array[];
}

/** A proof as JSON: every part in hex. */
export interface LightProofJson {
  readonly boundaries: string[];
  readonly header: string;
  readonly certificate: string;
  readonly row: string | null;
  readonly path: {
    readonly siblings: string[];
    readonly other: { readonly keyHash: string; readonly valueHash: string } | null;
  };
}

/** Epochs that one proof leads over at most; who trusts an older committee follows the boundaries first. */
export const PROOF_BOUNDARIES_MAX = 128;

/** A row that was proven, and by which block. */
export interface ProvenRow<Row> {
  /** Absent where the proof says that there is none. */
  readonly row: Row | undefined;
  readonly header: BlockHeader;
  /** The committee that made the header final: the checkpoint to remember. */
  readonly committee: Committee;
}

/**
 * Checks a proof of the row `id` of `table`. `trusted` is a committee of this chain that the caller believes in.
 * Throws LedgerError `bad-certificate` or `bad-path` with what does not hold.
 */
export function verifyLightProof<Id extends string, Row>(
  chainId: ChainId,
  trusted: Committee,
  table: Table<Id, Row>,
  id: Id,
  proof: LightProof,
  verifier: Verifier = ecdsaVerifier,
): ProvenRow<Row> {
  const { boundaries, header, certificate, row, path } = proof;
  demand(header.chainId === chainId, 'bad-certificate', 'the header is of another chain');
  const committee = followBoundaries(chainId, trusted, boundaries, verifier);
  checkFinal(committee, header, certificate, verifier);
  verifyState(header.stateRoot, stateKey(table, id), row, path);
  return { row: row && decode(table.codec, row, `a row of ${table.name}`), header, committee };
}

/** A proof as the API gives it: bytes in lower-case hex, absent things as null. */
export function lightProofToJson(proof: EncodedLightProof): LightProofJson {
  const { boundaries, header, certificate, row, path } = proof;
  const { other, siblings } = path;
  return {
    boundaries: boundaries.map(toHex),
    header: toHex(encodeHeader(header)),
    certificate: toHex(encodeCertificate(certificate)),
    row: row === undefined ? null : toHex(row),
    path: {
      siblings: siblings.map(toHex),
      other:
        other === undefined ? null : { keyHash: toHex(other.keyHash), valueHash: toHex(other.valueHash) },
    },
  };
}

/** Reads a proof. Throws LedgerError `malformed` or `oversized`. */
export function lightProofFromJson(json: LightProofJson): LightProof {
  // It comes from somebody who is not trusted.
  if (typeof json !== 'object' || json === null) throw new LedgerError('malformed', 'expected a proof');
  const { boundaries, header, certificate, row, path } = json;
  if (!Array.isArray(boundaries) || !Array.isArray(path?.siblings) || path.other === undefined)
    throw new LedgerError('malformed', 'expected boundaries and a path');
  if (boundaries.length > PROOF_BOUNDARIES_MAX)
    throw new LedgerError('oversized', `expected at most ${PROOF_BOUNDARIES_MAX} boundaries`);
  const { other, siblings } = path;
  return {
    boundaries: boundaries.map((hex) => decodeBoundary(bytesOf(hex))),
    header: decodeHeader(bytesOf(header)),
    certificate: decodeCertificate(bytesOf(certificate)),
    row: row === null ? undefined : bytesOf(row),
    path: {
      siblings: siblings.map((hex) => bytesOf(hex, 32)),
      other:
        other === null
          ? undefined
          : { keyHash: bytesOf(other.keyHash, 32), valueHash: bytesOf(other.valueHash, 32) },
    },
  };
}

function bytesOf(hex: unknown, length?: number): Uint8Array {
  const bytes = typeof hex === 'string' ? fromHex(hex) : undefined;
  if (bytes === undefined || (length !== undefined && bytes.length !== length))
    throw new LedgerError('malformed', `expected ${length ?? 'whole'} bytes in hex`);
  return bytes;
}
