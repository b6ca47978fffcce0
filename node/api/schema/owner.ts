import { Type as T } from 'typebox';
import { AccountAddress, count, GrainsText, HexHash, NodeAddress, nullable, open, Time } from './basics.ts';

/** The owner's money and storage. */

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
