import { verify } from '../crypto/secp256k1.ts';
import { demand } from '../errors.ts';
import { grains, least } from '../grains.ts';
import { type ContractId, idBytes } from '../ids.ts';
import { leafHash, verifyMerkleProof } from '../merkle.ts';
import { type PeriodProof, receiptDigest } from '../storage-formats.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { evaluate, isEmptyAt } from './contract-due.ts';
import {
  challengeLeaves,
  egressPrice,
  priceAt,
  reservedStorageGrains,
  rootAt,
  withoutOldRoots,
} from './contract-terms.ts';
import { credit, moveSupply, type StateDraft } from './draft.ts';
import { BEACONS, CONTRACTS, type StorageContract } from './entities.ts';

/** The host is paid for the periods that its evidence covers, oldest first, and for egress by the receipt. */
export function applyStorageSettle(
  state: StateDraft,
  context: OperationContext,
  body: BodyOf<'storage.settle'>,
): void {
  const { contractId, throughPeriod, evidence } = body;
  const contract = evaluate(state, context, contractId);
  demand(contract !== undefined, 'contract-unknown', 'there is no live contract with this id');
  demand(contract.hostAccountId === context.sender, 'not-owner', 'only the host settles a contract');
  demand(
    throughPeriod <= Math.min(context.period, contract.endPeriod),
    'period-not-open',
    `expected a period up to ${Math.min(context.period, contract.endPeriod)}, got ${throughPeriod}`,
  );
  let settled = contract;
  if (evidence.kind === 'receipt') {
    demand(
      evidence.revision <= contract.revision &&
        evidence.revision >= (rootAt(contract, throughPeriod)?.revision ?? 0) &&
        verify(
          evidence.renterSignature,
          receiptDigest(context.chainId, { contractId, throughPeriod, ...evidence }),
          idBytes(contract.renterId),
        ),
      'bad-receipt',
      'the renter must sign contract, period, revision and bytes served',
    );
    demand(
      throughPeriod >= contract.nextPeriod || evidence.egressBytes > contract.egressBytes,
      'nothing-due',
      `everything through period ${contract.nextPeriod - 1} is settled`,
    );
    settled = payPeriods(state, context, contractId, settled, throughPeriod, 'receipt');
    settled = payEgress(state, context, contractId, settled, evidence.egressBytes);
  } else {
    demand(
      throughPeriod >= contract.nextPeriod,
      'nothing-due',
      `everything through period ${contract.nextPeriod - 1} is settled`,
    );
    checkProofs(state, context, contractId, contract, throughPeriod, evidence.periods);
    settled = payPeriods(state, context, contractId, settled, throughPeriod, 'proofs');
  }
  state.write(CONTRACTS, contractId, settled);
}

/** Pays every unsettled period up to `through`. The caller has checked the evidence. */
export function payPeriods(
  state: StateDraft,
  context: OperationContext,
  contractId: ContractId,
  contract: StorageContract,
  through: number,
  by: 'receipt' | 'proofs' | 'close',
): StorageContract {
  let next = contract;
  for (let period = contract.nextPeriod; period <= through; period++) {
    const empty = isEmptyAt(next, period);
    const price = least(priceAt(next, period), next.escrowGrains);
    next = withoutOldRoots({
      ...next,
      nextPeriod: period + 1,
      escrowGrains: grains(next.escrowGrains - price),
      paidStorageGrains: grains(next.paidStorageGrains + price),
      paidPeriods: next.paidPeriods + (empty ? 0 : 1),
      missedInARow: 0,
    });
    if (empty) continue;
    credit(state, next.hostAccountId, price);
    moveSupply(state, { escrow: -price });
    context.emit({ kind: 'period-paid', contractId, period, by });
    context.pay({
      reason: 'storage',
      from: next.renterId,
      to: next.hostAccountId,
      amountGrains: price,
      contractId,
      period,
    });
  }
  return next;
}

/** Pays the bytes served since the last receipt, out of what the storage of the periods to come does not need. */
export function payEgress(
  state: StateDraft,
  context: OperationContext,
  contractId: ContractId,
  contract: StorageContract,
  egressBytes: number,
): StorageContract {
  if (egressBytes <= contract.egressBytes) return contract;
  const reserved = reservedStorageGrains(contract);
  const free = contract.escrowGrains > reserved ? grains(contract.escrowGrains - reserved) : grains(0);
  const owed = grains(
    egressPrice(contract.egressGrainsPerGiB, egressBytes) -
      egressPrice(contract.egressGrainsPerGiB, contract.egressBytes),
  );
  const paid = least(owed, free);
  credit(state, contract.hostAccountId, paid);
  moveSupply(state, { escrow: -paid });
  context.pay({
    reason: 'egress',
    from: contract.renterId,
    to: contract.hostAccountId,
    amountGrains: paid,
    contractId,
    period: context.period,
  });
  return {
    ...contract,
    egressBytes,
    escrowGrains: grains(contract.escrowGrains - paid),
    paidEgressGrains: grains(contract.paidEgressGrains + paid),
  };
}

function checkProofs(
  state: StateDraft,
  context: OperationContext,
  contractId: ContractId,
  contract: StorageContract,
  throughPeriod: number,
  proofs: readonly PeriodProof[],
): void {
  const { challengesPerPeriod } = context.parameters;
  const due: number[] = [];
  for (let period = contract.nextPeriod; period <= throughPeriod; period++)
    if (!isEmptyAt(contract, period)) due.push(period);
  demand(
    proofs.length === due.length && proofs.every((proof, i) => proof.period === due[i]),
    'bad-proof',
    `expected proofs for the periods ${due.join(', ')}`,
  );
  for (const { period, leaves } of proofs) {
    const beacon = state.read(BEACONS, String(period))?.beacon;
    demand(beacon !== undefined, 'period-not-open', `period ${period} has no beacon`);
    const root = rootAt(contract, period);
    demand(root !== undefined, 'bad-proof', `no root is in force in period ${period}`);
    demand(
      leaves.length === challengesPerPeriod,
      'bad-proof',
      `expected ${challengesPerPeriod} leaves for period ${period}`,
    );
    const asked = challengeLeaves(beacon, contractId, root.leafCount, challengesPerPeriod);
    for (const [i, { leaf, path }] of leaves.entries()) {
      demand(
        verifyMerkleProof({
          root: idBytes(root.root),
          leafHash: leafHash(leaf),
          index: asked[i] as number,
          leafCount: root.leafCount,
          path: path.map(idBytes),
        }),
        'bad-proof',
        `leaf ${asked[i]} of period ${period} does not lead to the root`,
      );
    }
  }
}
