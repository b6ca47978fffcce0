import { verify } from '../crypto/secp256k1.ts';
import { demand, invariant } from '../errors.ts';
import { idBytes } from '../ids.ts';
import { closeDigest } from '../storage-formats.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { end, evaluate } from './contract-due.ts';
import type { StateDraft } from './draft.ts';
import { TPMS } from './entities.ts';
import { payEgress, payPeriods } from './storage-settle.ts';

/** Both agree that the contract ends now: what is unsettled up to this period is paid, the remainders return. */
export function applyStorageClose(
  state: StateDraft,
  context: OperationContext,
  body: BodyOf<'storage.close'>,
): void {
  const { contractId, egressBytes } = body;
  const contract = evaluate(state, context, contractId);
  demand(contract !== undefined, 'contract-unknown', 'there is no live contract with this id');
  demand(
    context.period > contract.startPeriod,
    'bad-terms',
    'a contract can be closed after its first period',
  );
  demand(
    context.sender === contract.renterId || context.sender === contract.hostAccountId,
    'not-owner',
    'only its renter or its host closes a contract',
  );
  const tpm = state.read(TPMS, contract.hostEkId);
  invariant(tpm !== undefined, 'the host of a contract has no TPM');
  const digest = closeDigest(context.chainId, contractId, egressBytes);
  demand(
    verify(body.renterSignature, digest, idBytes(contract.renterId)),
    'bad-signature',
    'the renter must sign the closing',
  );
  demand(
    verify(body.hostSignature, digest, idBytes(tpm.nodeId)),
    'bad-host-signature',
    'the host must sign the closing',
  );
  const through = Math.min(context.period, contract.endPeriod);
  const paid = payPeriods(state, context, contractId, contract, through, 'close');
  end(state, context, contractId, payEgress(state, context, contractId, paid, egressBytes), 'closed');
}
