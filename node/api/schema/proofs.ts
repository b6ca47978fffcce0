import { Type as T } from 'typebox';
import { GrainsText, HexHash, NodeAddress, nullable, open, Time, text } from './basics.ts';

/** Light proofs, and what they are checked against. */

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
