import { Committee } from '../../ledger/consensus/committee.ts';
import { decodeCertificate } from '../../ledger/consensus/messages.ts';
import type { Certificate } from '../../ledger/consensus/votes.ts';
import { demand } from '../../ledger/errors.ts';
import { chainIdOf, type Genesis } from '../../ledger/genesis.ts';
import type { BlockId } from '../../ledger/ids.ts';
import type { StateReader } from '../../ledger/state/draft.ts';
import { COMMITTEES } from '../../ledger/state/entities.ts';

/**
 * Checks the encoded Finalization of a block by the committee of its epoch, as `state` knows it.
 * Throws LedgerError `bad-certificate` or `malformed`.
 */
export function checkFinality(
  genesis: Genesis,
  state: StateReader,
  blockId: BlockId,
  encoded: Uint8Array,
): Certificate {
  const certificate = decodeCertificate(encoded);
  demand(
    certificate.type === 'finalize' && certificate.position?.blockId === blockId,
    'bad-certificate',
    'it is for another block',
  );
  const seats =
    certificate.epoch === 0 ? genesis.committee : state.read(COMMITTEES, String(certificate.epoch))?.seats;
  demand(seats !== undefined, 'bad-certificate', `the committee of epoch ${certificate.epoch} is not known`);
  new Committee(chainIdOf(genesis), certificate.epoch, seats).check(certificate);
  return certificate;
}
