import * as P from 'micro-packed';
import { type BlockHeader, headerCodec } from '../../../ledger/block.ts';
import { type Codec, decode, encode } from '../../../ledger/codec.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import { type Boundary, checkFinal, followBoundaries } from '../../../ledger/consensus/trust-chain.ts';
import { type Certificate, certificateCodec } from '../../../ledger/consensus/votes.ts';
import { chainIdOf, type Genesis } from '../../../ledger/genesis.ts';
import { NodeError } from '../../errors.ts';
import type { LedgerStore } from './ledger-store.ts';

/** A block and the Finalization that its committee gave it. */
export interface CertifiedHeader {
  readonly header: BlockHeader;
  readonly certificate: Certificate;
}

export const certifiedCodec = P.struct({
  header: headerCodec,
  certificate: certificateCodec,
}) as unknown as Codec<CertifiedHeader>;

/** Throws LedgerError `malformed`. */
export const encodeCertified = (certified: CertifiedHeader): Uint8Array =>
  encode(certifiedCodec, certified, 'a certified header');
/** Throws LedgerError `malformed`. */
export const decodeCertified = (bytes: Uint8Array): CertifiedHeader =>
  decode(certifiedCodec, bytes, 'a certified header');

/** The newest final block with its Finalization; `undefined` while only a later block proves it, or at genesis. */
export function newestCertified(store: LedgerStore): CertifiedHeader | undefined {
  const { final } = store;
  const newest = store.header(final.id);
  if (final.certificate === undefined || newest === undefined) return undefined;
  return { header: newest, certificate: final.certificate };
}

/** The last blocks of the epochs before `epoch`, from the first on. Throws NodeError `data-damaged`. */
export function boundariesBefore(store: LedgerStore, epoch: number): readonly Boundary[] {
  return Array.from({ length: epoch }, (_, at) => {
    const boundary = store.boundary(at);
    if (boundary !== undefined) return boundary;
    throw new NodeError(
      'data-damaged',
      `the last block of epoch ${at} is recorded without what proves it: move the ledger folder away and start, it is fetched again`,
    );
  });
}

/** Checks a final block from genesis on, committee by committee. Throws LedgerError `bad-certificate`. */
export function checkFromGenesis(
  genesis: Genesis,
  boundaries: readonly Boundary[],
  { header, certificate }: CertifiedHeader,
): void {
  const chainId = chainIdOf(genesis);
  const committee = followBoundaries(chainId, new Committee(chainId, 0, genesis.committee), boundaries);
  checkFinal(committee, header, certificate);
}
