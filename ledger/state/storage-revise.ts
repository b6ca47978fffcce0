import { verify } from '../crypto/secp256k1.ts';
import { demand, invariant } from '../errors.ts';
import { formatAcorns, grains } from '../grains.ts';
import { idBytes } from '../ids.ts';
import { revisionDigest } from '../storage-formats.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { evaluate } from './contract-due.ts';
import { reservedStorageGrains, withoutOldRoots } from './contract-terms.ts';
import type { StateDraft } from './draft.ts';
import { CONTRACTS, type StorageContract, TPMS } from './entities.ts';
import { CONTRACT_PERIODS_MAX, checkSize, takeDeposits } from './storage-open.ts';

/** A new root from the next period on, a later end, more escrow and collateral. Renewal is a revision with a later end. */
export function applyStorageRevise(
  state: StateDraft,
  context: OperationContext,
  body: BodyOf<'storage.revise'>,
): void {
  const contract = evaluate(state, context, body.contractId);
  demand(contract !== undefined, 'contract-unknown', 'there is no live contract with this id');
  demand(contract.renterId === context.sender, 'not-owner', 'only the renter revises a contract');
  demand(
    context.period < contract.endPeriod,
    'contract-ended',
    'the contract is in its last period or past it',
  );
  demand(body.revision > contract.revision, 'bad-revision', `expected a revision above ${contract.revision}`);
  checkSize(body.leafCount, body.root);
  demand(body.endPeriod >= contract.endPeriod, 'bad-terms', 'a revision cannot end a contract earlier');
  demand(
    body.endPeriod - contract.startPeriod < CONTRACT_PERIODS_MAX,
    'bad-terms',
    `a contract lasts at most ${CONTRACT_PERIODS_MAX} periods`,
  );
  const tpm = state.read(TPMS, contract.hostEkId);
  invariant(tpm !== undefined, 'the host of a contract has no TPM');
  demand(
    verify(body.hostSignature, revisionDigest(context.chainId, body), idBytes(tpm.nodeId)),
    'bad-host-signature',
    "the host's node key must sign exactly this revision",
  );
  takeDeposits(state, context, contract.hostAccountId, body.addedEscrowGrains, body.addedCollateralGrains);
  const fromPeriod = context.period + 1;
  const next: StorageContract = withoutOldRoots({
    ...contract,
    revision: body.revision,
    endPeriod: body.endPeriod,
    escrowGrains: grains(contract.escrowGrains + body.addedEscrowGrains),
    collateralGrains: grains(contract.collateralGrains + body.addedCollateralGrains),
    roots: [
      ...contract.roots.filter((root) => root.fromPeriod < fromPeriod),
      { fromPeriod, revision: body.revision, root: body.root, leafCount: body.leafCount },
    ],
  });
  const needed = reservedStorageGrains(next);
  demand(
    next.escrowGrains >= needed,
    'bad-terms',
    `expected an escrow of ${formatAcorns(needed)} acorns for all periods to come`,
  );
  state.write(CONTRACTS, body.contractId, next);
  context.emit({ kind: 'contract-revised', contractId: body.contractId, contract: next });
}
