import * as P from 'micro-packed';
import { type BlockHeader, blockIdOf, committeeHash, headerCodec } from '../block.ts';
import { boundedList, type Codec, decode, encode } from '../codec.ts';
import { demand } from '../errors.ts';
import { type Seat, seatCodec } from '../genesis.ts';
import type { ChainId } from '../ids.ts';
import { Committee, ecdsaVerifier, type Verifier } from './committee.ts';
import { type Certificate, certificateCodec, SEATS_MAX } from './votes.ts';

/**
 * How anybody gets from the first committee, or any later one that it trusts, to the present one: the last block of each
 * epoch, made final by its committee, names the next.
 */

export interface Boundary {
  readonly header: BlockHeader;
  /** The Finalization of that block by the epoch that it ends. */
  readonly certificate: Certificate;
  readonly nextSeats: readonly Seat[];
}

export const boundaryCodec = P.struct({
  header: headerCodec,
  certificate: certificateCodec,
  nextSeats: boundedList(SEATS_MAX, seatCodec),
}) as unknown as Codec<Boundary>;

/** Throws LedgerError `malformed`. */
export const encodeBoundary = (boundary: Boundary): Uint8Array =>
  encode(boundaryCodec, boundary, 'a boundary');
/** Throws LedgerError `malformed`. */
export const decodeBoundary = (bytes: Uint8Array): Boundary => decode(boundaryCodec, bytes, 'a boundary');

/** Checks that a Finalization by `committee` makes exactly this block final. Throws LedgerError `bad-certificate`. */
export function checkFinal(
  committee: Committee,
  header: BlockHeader,
  certificate: Certificate,
  verifier: Verifier = ecdsaVerifier,
): void {
  demand(certificate.type === 'finalize', 'bad-certificate', 'expected a Finalization');
  demand(
    certificate.position?.blockId === blockIdOf(header) && certificate.position.height === header.height,
    'bad-certificate',
    'the certificate is for another block',
  );
  demand(
    header.epoch === committee.epoch,
    'bad-certificate',
    `expected a block of epoch ${committee.epoch}, got one of epoch ${header.epoch}`,
  );
  committee.check(certificate, verifier);
}

/**
 * The committee after all boundaries, oldest first, beginning with the one that ends `from`'s epoch.
 * Throws LedgerError `bad-certificate` that names the epoch.
 */
export function followBoundaries(
  chainId: ChainId,
  from: Committee,
  boundaries: readonly Boundary[],
  verifier: Verifier = ecdsaVerifier,
): Committee {
  let committee = from;
  for (const { header, certificate, nextSeats } of boundaries) {
    demand(header.chainId === chainId, 'bad-certificate', 'a boundary of another chain');
    checkFinal(committee, header, certificate, verifier);
    demand(
      committeeHash(nextSeats) === header.nextCommitteeHash,
      'bad-certificate',
      `the boundary of epoch ${committee.epoch} names another committee`,
    );
    committee = new Committee(chainId, committee.epoch + 1, nextSeats);
  }
  return committee;
}
