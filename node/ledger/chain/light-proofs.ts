import { proveState, verifyState } from '../../../ledger/commitment/state-proof.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { type EncodedLightProof, PROOF_BOUNDARIES_MAX } from '../../../ledger/light-proof.ts';
import { stateKey } from '../../../ledger/state/draft.ts';
import type { Table } from '../../../ledger/state/entities.ts';
import { NodeError } from '../../errors.ts';
import type { Chain } from './chain.ts';

const ATTEMPTS_MAX = 8;

/** The encoded boundaries from the one that ends `fromEpoch` to the one before `beforeEpoch`, oldest first, at most PROOF_BOUNDARIES_MAX. */
export function boundariesFrom(
  chain: Chain,
  fromEpoch: number,
  beforeEpoch = Number.POSITIVE_INFINITY,
): readonly Uint8Array[] {
  const boundaries: Uint8Array[] = [];
  while (boundaries.length < Math.min(PROOF_BOUNDARIES_MAX, beforeEpoch - fromEpoch)) {
    const boundary = chain.store.boundaryBytes(fromEpoch + boundaries.length);
    if (boundary === undefined) break;
    boundaries.push(boundary);
  }
  return boundaries;
}

/**
 * The proof of a row in the newest final state, for somebody who trusts the committee of `fromEpoch`. The state may move
 * on while it is read, so the proof is checked before it is given. Throws NodeError `not-found` for an epoch
 * that has not begun, `not-synced`, LedgerError `oversized`.
 */
export async function proveRow<Id extends string, Row>(
  chain: Chain,
  table: Table<Id, Row>,
  id: Id,
  fromEpoch: number,
): Promise<EncodedLightProof> {
  const key = stateKey(table, id);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const { final } = chain;
    const header = chain.header(final.id);
    if (final.certificate === undefined || header === undefined) break;
    if (fromEpoch > header.epoch)
      throw new NodeError('not-found', `there is no epoch ${fromEpoch} yet: the newest is ${header.epoch}`);
    const boundaries = boundariesFrom(chain, fromEpoch, header.epoch);
    if (fromEpoch + boundaries.length < header.epoch)
      throw new LedgerError(
        'oversized',
        `more than ${PROOF_BOUNDARIES_MAX} epochs lie between: follow /ledger/boundaries first, then ask with a later epoch`,
      );
    const row = chain.store.row(key);
    try {
      const path = proveState(chain.store.page, key);
      verifyState(header.stateRoot, key, row, path);
      return { boundaries, header, certificate: final.certificate, row, path };
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      await new Promise((done) => setImmediate(done));
    }
  }
  throw new NodeError(
    'not-synced',
    'no block with a certificate is at hand yet: try again when one is final',
  );
}
