import { verify } from '../crypto/secp256k1.ts';
import { demand } from '../errors.ts';
import { formatAcorns, grains, ZERO_GRAINS } from '../grains.ts';
import { type ContractId, idBytes } from '../ids.ts';
import { LEAVES_PER_FRAGMENT } from '../merkle.ts';
import { termsDigest } from '../storage-formats.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { pairKey, schedule } from './contract-due.ts';
import { periodPrice } from './contract-terms.ts';
import { accountOf, clockOf, debit, moveSupply, type StateDraft } from './draft.ts';
import { CLOCK, CONTRACTS, NODES, PAIRS, type StorageContract } from './entities.ts';

/** Periods that a contract may last at most: bounds every sum over its periods. */
export const CONTRACT_PERIODS_MAX = 1_048_576;

/** Opens a contract: escrow and collateral leave the balances and are held by it. */
export function applyStorageOpen(
  state: StateDraft,
  context: OperationContext,
  body: BodyOf<'storage.open'>,
): void {
  const host = state.read(NODES, body.hostNodeId);
  demand(host !== undefined, 'node-unknown', 'the host is not a node with a claimed TPM');
  demand(
    verify(body.hostSignature, termsDigest(context.chainId, context.sender, body), idBytes(body.hostNodeId)),
    'bad-host-signature',
    "the host's node key must sign exactly these terms",
  );
  demand(
    body.startPeriod === context.period || body.startPeriod === context.period + 1,
    'bad-terms',
    `expected a start in period ${context.period} or ${context.period + 1}, got ${body.startPeriod}`,
  );
  checkSize(body.leafCount, body.root);
  demand(
    body.endPeriod >= body.startPeriod,
    'bad-terms',
    'a contract ends in its first period at the earliest',
  );
  demand(
    body.endPeriod - body.startPeriod < CONTRACT_PERIODS_MAX,
    'bad-terms',
    `a contract lasts at most ${CONTRACT_PERIODS_MAX} periods`,
  );
  const needed =
    periodPrice(body.priceGrainsPerGiBPeriod, body.leafCount) * BigInt(body.endPeriod - body.startPeriod + 1);
  demand(
    body.escrowGrains >= needed,
    'bad-terms',
    `expected an escrow of at least ${formatAcorns(needed)} acorns for all periods`,
  );
  const pair = pairKey(context.sender, host.ekId);
  demand(
    state.read(PAIRS, pair) === undefined,
    'bad-terms',
    'a contract with this host is live: revise that one',
  );

  takeDeposits(state, context, host.ownerId, body.escrowGrains, body.collateralGrains);
  const contractId = context.transactionId as string as ContractId;
  const contract: StorageContract = {
    renterId: context.sender,
    hostEkId: host.ekId,
    hostAccountId: host.ownerId,
    priceGrainsPerGiBPeriod: body.priceGrainsPerGiBPeriod,
    egressGrainsPerGiB: body.egressGrainsPerGiB,
    startPeriod: body.startPeriod,
    endPeriod: body.endPeriod,
    escrowGrains: body.escrowGrains,
    collateralGrains: body.collateralGrains,
    revision: 0,
    roots: [{ fromPeriod: body.startPeriod, revision: 0, root: body.root, leafCount: body.leafCount }],
    nextPeriod: body.startPeriod,
    missedInARow: 0,
    missedPeriods: 0,
    paidPeriods: 0,
    egressBytes: 0,
    paidStorageGrains: ZERO_GRAINS,
    paidEgressGrains: ZERO_GRAINS,
    penaltyGrains: ZERO_GRAINS,
    openedHeight: context.height,
  };
  state.write(CONTRACTS, contractId, contract);
  state.write(PAIRS, pair, { contractId });
  const clock = clockOf(state);
  state.write(CLOCK, 'clock', { ...clock, liveContracts: clock.liveContracts + 1 });
  schedule(state, context.parameters, contractId, contract);
  context.emit({ kind: 'contract-opened', contractId, contract });
}

/** A contract's size is whole fragments; no fragments means the zero root. */
export function checkSize(leafCount: number, root: string): void {
  demand(
    leafCount % LEAVES_PER_FRAGMENT === 0,
    'bad-terms',
    `expected a multiple of ${LEAVES_PER_FRAGMENT} leaves`,
  );
  demand(
    leafCount > 0 === /[^0]/.test(root),
    'bad-terms',
    'the root is zero exactly when there are no fragments',
  );
}

/** Moves escrow from the sender and collateral from the host's account into a contract. */
export function takeDeposits(
  state: StateDraft,
  context: OperationContext,
  hostAccountId: StorageContract['hostAccountId'],
  escrowGrains: StorageContract['escrowGrains'],
  collateralGrains: StorageContract['collateralGrains'],
): void {
  const same = hostAccountId === context.sender;
  const renterNeeds = same ? grains(escrowGrains + collateralGrains) : escrowGrains;
  demand(
    accountOf(state, context.sender).balanceGrains >= renterNeeds,
    'insufficient-balance',
    `the renter needs ${formatAcorns(renterNeeds)} acorns`,
  );
  debit(state, context.sender, escrowGrains);
  demand(
    accountOf(state, hostAccountId).balanceGrains >= collateralGrains,
    'insufficient-balance',
    `the host needs ${formatAcorns(collateralGrains)} acorns of collateral`,
  );
  debit(state, hostAccountId, collateralGrains);
  moveSupply(state, { escrow: escrowGrains, collateral: collateralGrains });
  context.pay({ reason: 'escrow', from: context.sender, amountGrains: escrowGrains });
  context.pay({ reason: 'collateral', from: hostAccountId, amountGrains: collateralGrains });
}
