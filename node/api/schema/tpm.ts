import { type Static, Type as T } from 'typebox';
import { ANSWER_FORMAT, REQUEST_FORMAT } from '../../tpm/issuance-files.ts';
import { AccountAddress, GrainsText, HexHash, hex, nullable, open, text } from './basics.ts';

/** The chip, its endorsement and its claim. */

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

export type EndorsementRequestJson = Static<typeof EndorsementRequest>;
export type TpmJson = Static<typeof TpmStatus>;
