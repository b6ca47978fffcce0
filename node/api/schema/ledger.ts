import { type Static, Type as T } from 'typebox';
import {
  AccountAddress,
  count,
  GrainsText,
  HexHash,
  NodeAddress,
  nullable,
  open,
  Time,
  text,
} from './basics.ts';

/** What stands on the public ledger. */

export const Block = T.Object(
  {
    id: HexHash,
    height: count('distance from genesis'),
    epoch: T.Integer(),
    view: T.Integer(),
    parentId: HexHash,
    timestamp: Time,
    proposer: NodeAddress,
    txRoot: HexHash,
    stateRoot: HexHash,
    transactionCount: nullable(count('unknown where the body is pruned')),
    pruned: T.Boolean({ description: 'only the header is kept here' }),
    status: T.Union([
      T.Literal('final'),
      T.Literal('notarized'),
      T.Literal('proposed'),
      T.Literal('abandoned'),
    ]),
  },
  open,
);

export const Transaction = T.Object(
  {
    id: HexHash,
    kind: T.String(),
    sender: AccountAddress,
    nonce: T.Integer(),
    feeGrains: GrainsText,
    status: T.Union([T.Literal('final'), T.Literal('waiting')]),
    height: nullable(T.Integer()),
    timestamp: nullable(Time),
    body: T.Record(T.String(), T.Unknown(), { description: 'the fields of that kind' }),
  },
  open,
);

export const BlockDetail = T.Object({ ...Block.properties, transactions: T.Array(Transaction) }, open);
export const Tree = T.Object({ finalId: HexHash, blocks: T.Array(Block) }, open);
export const Account = T.Object(
  { accountId: AccountAddress, balanceGrains: GrainsText, nonce: T.Integer() },
  open,
);

export const HistoryEntry = T.Object(
  {
    height: T.Integer(),
    timestamp: Time,
    reason: text(
      'claim, transfer, fee, escrow, collateral, storage, egress, penalty, refund, collateral-return',
    ),
    direction: T.Union([T.Literal('in'), T.Literal('out')]),
    amountGrains: GrainsText,
    otherId: nullable(AccountAddress),
    transactionId: nullable(HexHash),
    contractId: nullable(HexHash),
    period: nullable(T.Integer()),
    memo: nullable(T.String()),
  },
  open,
);

export const TpmEntry = T.Object(
  {
    ekId: HexHash,
    ownerId: AccountAddress,
    nodeId: NodeAddress,
    denominationGrains: GrainsText,
    claimedHeight: T.Integer(),
  },
  open,
);

export const Offer = T.Object(
  {
    priceGrainsPerGiBPeriod: GrainsText,
    egressGrainsPerGiB: GrainsText,
    collateralPercent: T.Integer({ minimum: 0, maximum: 1_000 }),
    freeBytes: count('room at the time of the announcement'),
    periodsMin: T.Integer({ minimum: 1 }),
    periodsMax: T.Integer({ minimum: 1, maximum: 1_048_576 }),
  },
  open,
);

export const Contract = T.Object(
  {
    id: HexHash,
    state: T.Union([T.Literal('active'), T.Literal('ended'), T.Literal('failed'), T.Literal('closed')]),
    renterId: AccountAddress,
    hostAccountId: AccountAddress,
    hostNodeId: nullable(NodeAddress),
    sizeBytes: count('under the newest root'),
    priceGrainsPerGiBPeriod: GrainsText,
    egressGrainsPerGiB: GrainsText,
    startPeriod: T.Integer(),
    endPeriod: T.Integer(),
    nextPeriod: T.Integer({ description: 'the first that is neither paid nor missed' }),
    provableUntilPeriod: T.Integer({ description: 'the last in which nextPeriod can be proven' }),
    revision: T.Integer(),
    escrowGrains: GrainsText,
    collateralGrains: GrainsText,
    paidStorageGrains: GrainsText,
    paidEgressGrains: GrainsText,
    penaltyGrains: GrainsText,
    paidPeriods: T.Integer(),
    missedPeriods: T.Integer(),
    missedInARow: T.Integer(),
    openedHeight: T.Integer(),
    lastSettledHeight: nullable(T.Integer()),
    endedHeight: nullable(T.Integer()),
  },
  open,
);

export const NodeEntry = T.Object(
  {
    nodeId: NodeAddress,
    ownerId: AccountAddress,
    ekId: HexHash,
    addresses: T.Array(T.String()),
    offer: nullable(Offer),
    committeeMember: T.Boolean(),
    // Null, as what this node thinks of it, to those who may not read.
    connected: nullable(T.Boolean()),
    self: T.Boolean(),
    score: nullable(T.Number()),
    scoreFactors: nullable(T.Record(T.String(), T.Number())),
    suspended: nullable(T.String()),
  },
  open,
);

export const Period = T.Object(
  { period: T.Integer(), height: T.Integer(), startedAt: Time, beacon: nullable(HexHash) },
  open,
);
export const Submitted = T.Object({ id: HexHash }, open);
export type BlockJson = Static<typeof Block>;
export type TransactionJson = Static<typeof Transaction>;
export type ContractJson = Static<typeof Contract>;
