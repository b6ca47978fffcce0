import { type Static, Type as T, type TSchema } from 'typebox';
import { ANSWER_FORMAT, REQUEST_FORMAT } from '../tpm/issuance-files.ts';

/** The resources of the REST API: one schema serves checking, the OpenAPI document and the TypeScript types. */

const text = (description: string) => T.String({ description });
const count = (description: string) => T.Integer({ minimum: 0, description });
const nullable = <S extends TSchema>(schema: S) => T.Union([schema, T.Null()]);
const open = { additionalProperties: false } as const;

export const GrainsText = T.String({ pattern: '^-?[0-9]+$', description: 'an amount in grains, decimal' });
export const Time = T.String({ description: 'ISO 8601 time, UTC' });
export const AccountAddress = text('account, acorn1…');
export const NodeAddress = text('node, node1…');
export const HexHash = text('64 hex digits');

export const Problem = T.Object(
  {
    type: T.String(),
    title: T.String(),
    status: T.Integer(),
    detail: T.String({ description: 'what was expected, and what to do' }),
    code: T.String({ description: 'stable, for programs' }),
  },
  { description: 'RFC 9457 problem details' },
);

export const page = <S extends TSchema>(item: S) =>
  T.Object(
    { items: T.Array(item), nextCursor: nullable(text('give it as ?cursor= for the next page')) },
    open,
  );

export const PageQuery = T.Object({
  cursor: T.Optional(T.String({ maxLength: 4_000, description: 'nextCursor of the page before' })),
  limit: T.Optional(T.Integer({ minimum: 1, maximum: 200, default: 50 })),
});

export const Status = T.Object(
  {
    version: T.String(),
    chainId: HexHash,
    chainName: T.String(),
    chainKind: T.Union([T.Literal('public'), T.Literal('dev')]),
    nodeId: NodeAddress,
    accountId: AccountAddress,
    height: count('of the newest final block'),
    finalizedAt: nullable(Time),
    finalityMs: nullable(
      T.Number({ description: 'median of late blocks, from their timestamp to finality here' }),
    ),
    epoch: count('consensus epoch'),
    view: count('consensus view'),
    period: count('ledger period'),
    periodMs: count('length of a period'),
    periodStartedAt: Time,
    committee: T.Object({ size: T.Integer(), quorum: T.Integer(), member: T.Boolean() }, open),
    peerCount: count('connected nodes'),
    uptimeMs: count('since this process started'),
    storage: T.Object({ offeredBytes: count(''), usedBytes: count('') }, open),
    catchingUpTo: nullable(count('height, while the node catches up')),
    halted: nullable(text('why this node stopped taking part')),
  },
  open,
);

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

export const OfferOutlook = T.Object(
  {
    monthWhenFullGrains: GrainsText,
    otherOffers: count('of other nodes'),
    cheaperOffers: count('of those, that ask less'),
    sameOffers: count('of those, that ask the same'),
    scoreAgainstNow: nullable(
      T.Number({ description: 'what renters would multiply the present score by; null without an offer' }),
    ),
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
    connected: T.Boolean(),
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
export const Sent = T.Object(
  { transactionId: HexHash, height: T.Integer({ description: 'of the final block' }) },
  open,
);

export const Recovery = T.Object(
  {
    files: count('files that are here now'),
    added: count('of these, files that were not here before'),
    hosts: count('hosts of live contracts of this account'),
    silent: T.Array(NodeAddress, {
      description:
        'of these, the ones that have not answered; they are asked again, and nothing is taken out of contracts until then',
    }),
  },
  open,
);

/** Every part in hex, as `ledger/light-proof.ts` reads it. */
export const LightProof = T.Object(
  {
    boundaries: T.Array(T.String(), { description: 'from the trusted epoch on, oldest first' }),
    header: text('226 bytes'),
    certificate: text('the Finalization of the header'),
    row: nullable(text('the encoded row; null when there is none')),
    path: T.Object(
      {
        siblings: T.Array(HexHash, { description: 'root level first' }),
        other: nullable(T.Object({ keyHash: HexHash, valueHash: HexHash }, open)),
      },
      open,
    ),
  },
  open,
);
export const Boundaries = T.Object({ items: T.Array(text('a boundary in hex')) }, open);
export const Genesis = T.Object(
  {
    name: T.String(),
    timestamp: Time,
    kind: T.Union([T.Literal('public'), T.Literal('dev')]),
    issuers: T.Array(text('public key in hex')),
    committee: T.Array(
      T.Object(
        {
          seatId: HexHash,
          nodeId: text('public key in hex'),
          accountId: text('public key in hex'),
        },
        open,
      ),
    ),
    parameters: T.Record(T.String(), T.Union([T.Integer(), GrainsText])),
  },
  open,
);

export const Committee = T.Object(
  {
    epoch: T.Integer(),
    quorum: T.Integer(),
    seats: T.Array(T.Object({ ekId: HexHash, nodeId: NodeAddress }, open)),
  },
  open,
);
/** This node's place among those whom committees are drawn from. */
export const Seat = T.Object(
  {
    inPool: T.Boolean(),
    member: T.Boolean({ description: 'of the committee that votes now' }),
    voting: T.Boolean({
      description: 'false for a member that may not vote or still asks what it signed before',
    }),
    bondGrains: GrainsText,
    renewedAt: nullable(Time),
    leftAt: nullable(Time),
    convicted: T.Boolean({ description: 'of contradicting votes: it takes part no more' }),
  },
  open,
);

export const TpmStatus = T.Object(
  {
    kind: T.Union([T.Literal('tpm2'), T.Literal('software'), T.Literal('none')]),
    ekId: nullable(HexHash),
    manufacturer: nullable(text('four letters')),
    firmware: nullable(text('four numbers')),
    certifiedBy: nullable(text('issuer of the chip’s own certificate; null where it carries none')),
    endorsement: nullable(T.Object({ issuerId: AccountAddress, denominationGrains: GrainsText }, open)),
    claimed: nullable(
      T.Object(
        {
          height: T.Integer({ description: 'of the block with the claim' }),
          accountId: AccountAddress,
          denominationGrains: GrainsText,
          own: T.Boolean({ description: 'by the account of this node' }),
          here: T.Boolean({ description: 'bound to the key of this node' }),
        },
        open,
      ),
    ),
    issuer: nullable(text('address of the issuer that the settings name')),
    problem: nullable(
      T.Object({ code: T.String(), detail: text('why the chip does not answer now, and what to do') }, open),
    ),
  },
  open,
);

const hex = (bytesMin: number, bytesMax: number, description: string) =>
  T.String({
    pattern: '^[0-9a-f]+$',
    minLength: 2 * bytesMin,
    maxLength: 2 * bytesMax,
    description: `${description}, hex`,
  });
export const EndorsementRequest = T.Object(
  {
    format: T.Literal(REQUEST_FORMAT),
    chainId: hex(32, 32, 'the chain to be endorsed for'),
    kind: T.Union([T.Literal('tpm2'), T.Literal('software')]),
    endorsementKey: hex(1, 1_024, 'TPMT_PUBLIC'),
    attestationKey: hex(1, 256, 'TPMT_PUBLIC'),
    certificates: T.Array(hex(1, 4_096, 'DER; the chip’s first, then any that lead to a root'), {
      maxItems: 4,
    }),
  },
  open,
);
export const EndorsementAnswer = T.Object(
  {
    format: T.Literal(ANSWER_FORMAT),
    chainId: hex(32, 32, 'as in the request'),
    ekId: hex(32, 32, 'the chip'),
    credential: hex(1, 256, 'TPMS_ID_OBJECT'),
    encryptedSecret: hex(256, 256, 'the seed of the credential, encrypted to the chip'),
    sealedEndorsement: hex(288, 288, 'the endorsement, encrypted under the secret in the credential'),
  },
  open,
);
export const NewEndorsement = T.Object(
  {
    issuer: T.Optional(
      T.String({ maxLength: 2_048, description: 'address of an issuer’s node, which is asked at once' }),
    ),
    answer: T.Optional(EndorsementAnswer),
  },
  { ...open, description: 'one of the two' },
);

export const WalletStatus = T.Object(
  {
    accountId: AccountAddress,
    balanceGrains: GrainsText,
    nonce: T.Integer(),
    waiting: count('sent and not final'),
  },
  open,
);
export const Transfer = T.Object(
  {
    to: AccountAddress,
    amountGrains: T.String({ pattern: '^[0-9]{1,20}$' }),
    memo: T.Optional(T.String({ maxLength: 64 })),
  },
  open,
);

const earnings = {
  totalGrains: GrainsText,
  storageGrains: GrainsText,
  egressGrains: GrainsText,
  relayGrains: GrainsText,
  feeGrains: GrainsText,
  penaltyGrains: GrainsText,
};
export const Earnings = T.Object(
  {
    ...earnings,
    projectedMonthGrains: GrainsText,
    byPeriod: T.Array(T.Object({ period: T.Integer(), startedAt: nullable(Time), ...earnings }, open)),
    byContract: T.Array(T.Object({ contractId: HexHash, ...earnings }, open)),
  },
  {
    ...open,
    description:
      'total = storage + egress + relay + fees − penalties; every figure is a sum of payments on the ledger',
  },
);

export const Volume = T.Object(
  {
    id: T.String(),
    folder: T.String(),
    limitBytes: count(''),
    usedBytes: count(''),
    fragments: T.Integer(),
    draining: T.Boolean(),
  },
  open,
);
export const NewVolume = T.Object(
  { folder: T.String({ minLength: 1, maxLength: 4_096 }), limitBytes: T.Integer({ minimum: 1_048_576 }) },
  open,
);
export const VolumeChange = T.Object(
  { limitBytes: T.Optional(T.Integer({ minimum: 0 })), draining: T.Optional(T.Literal(true)) },
  open,
);

export const Audit = T.Object(
  {
    contractId: HexHash,
    hostNodeId: NodeAddress,
    period: T.Integer(),
    at: Time,
    ok: T.Boolean(),
    latencyMs: T.Integer(),
    reason: nullable(T.String()),
  },
  open,
);

export const Health = T.Object(
  {
    state: T.Union([T.Literal('healthy'), T.Literal('degraded'), T.Literal('lost')]),
    fragmentsAlive: T.Integer(),
    fragmentsNeeded: T.Integer(),
    fragmentsTotal: T.Integer(),
  },
  open,
);
export const File = T.Object(
  {
    name: T.String(),
    sizeBytes: count(''),
    createdAt: Time,
    sha256: HexHash,
    redundancy: T.Object({ data: T.Integer(), parity: T.Integer(), weak: T.Boolean() }, open),
    storedBytes: count('at hosts, parity included'),
    shareOfCost: T.Number({
      description: 'its part of all that is stored at hosts, who are paid by size; 0 to 1',
    }),
    health: Health,
  },
  open,
);
export const FileHealth = T.Object(
  {
    ...Health.properties,
    hosts: T.Array(T.Object({ nodeId: NodeAddress, fragments: T.Integer(), alive: T.Boolean() }, open)),
  },
  open,
);

export const Job = T.Object(
  {
    id: T.String(),
    kind: T.String(),
    state: T.Union([T.Literal('waiting'), T.Literal('running'), T.Literal('done'), T.Literal('failed')]),
    attempts: T.Integer(),
    finishedAt: nullable(Time),
    result: nullable(T.String()),
  },
  open,
);
export const Peer = T.Object(
  {
    nodeId: NodeAddress,
    address: T.String(),
    direction: T.Union([T.Literal('inbound'), T.Literal('outbound')]),
    connectedAt: Time,
    bytesIn: T.Integer(),
    bytesOut: T.Integer(),
    roundTripMs: nullable(T.Number()),
  },
  open,
);
export const Alert = T.Object(
  {
    id: T.String(),
    severity: T.Union([T.Literal('info'), T.Literal('warning'), T.Literal('critical')]),
    title: T.String(),
    whatToDo: T.String(),
  },
  open,
);

export const SettingEntry = T.Object(
  {
    name: T.String(),
    value: text('as a flag would be given'),
    isDefault: T.Boolean(),
    help: T.String(),
  },
  open,
);

export const Role = T.Union([T.Literal('viewer'), T.Literal('operator'), T.Literal('owner')]);
export const Session = T.Object({ role: Role }, open);
export const Token = T.Object({ id: T.String(), name: T.String(), role: Role, createdAt: Time }, open);
export const NewToken = T.Object({ name: T.String({ minLength: 1, maxLength: 60 }), role: Role }, open);
export const CreatedToken = T.Object({ ...Token.properties, token: text('shown once') }, open);

export type BlockJson = Static<typeof Block>;
export type TransactionJson = Static<typeof Transaction>;
export type ContractJson = Static<typeof Contract>;
export type EndorsementRequestJson = Static<typeof EndorsementRequest>;
export type TpmJson = Static<typeof TpmStatus>;
export type RoleName = Static<typeof Role>;
