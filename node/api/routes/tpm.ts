import { accountAddress } from '../../../ledger/ids.ts';
import { TPMS } from '../../../ledger/state/entities.ts';
import type { BlocktreeNode } from '../../node.ts';
import { ISSUANCE_FILE_BYTES_MAX } from '../../tpm/issuance-files.ts';
import { TpmError } from '../../tpm/tpm.ts';
import type { Console } from '../console.ts';
import { ApiError } from '../problem.ts';
import { Sent } from '../schema/basics.ts';
import {
  EndorsementRequest,
  type EndorsementRequestJson,
  NewEndorsement,
  type TpmJson,
  TpmStatus,
} from '../schema/tpm.ts';

/** The chip of this node: what it says of itself, and the steps to its claim. */
export function tpmRoutes(app: Console, node: BlocktreeNode): void {
  app.get(
    '/tpm',
    { config: { role: 'viewer' }, schema: { tags: ['tpm'], response: { 200: TpmStatus } } },
    () => tpmStatus(node),
  );
  app.get(
    '/tpm/request',
    {
      config: { role: 'operator' },
      schema: {
        tags: ['tpm'],
        description: 'The request for an issuer, to be sent as a file.',
        response: { 200: EndorsementRequest },
      },
    },
    async () => JSON.parse(await (await node.desk()).request()) as EndorsementRequestJson,
  );
  app.post(
    '/tpm/endorsement',
    {
      config: { role: 'owner' },
      bodyLimit: ISSUANCE_FILE_BYTES_MAX,
      schema: {
        tags: ['tpm'],
        description:
          'Has the chip endorsed by an issuer’s node, or takes the answer that an issuer sent as a file.',
        body: NewEndorsement,
        response: { 200: TpmStatus },
      },
    },
    async (request) => {
      const { issuer, answer } = request.body;
      if ((issuer === undefined) === (answer === undefined))
        throw new ApiError(400, 'bad-request', 'expected "issuer" or "answer", one of the two');
      const desk = await node.desk();
      if (issuer !== undefined) await desk.requestFrom(issuer);
      else await desk.accept(JSON.stringify(answer));
      return tpmStatus(node);
    },
  );
  app.post(
    '/tpm/claim',
    {
      config: { role: 'owner', idempotent: true },
      schema: {
        tags: ['tpm'],
        description: 'Claims the chip, or binds it to this node when the account claimed it before.',
        response: { 200: Sent },
      },
    },
    () => node.claim(),
  );
}

const NOTHING = {
  manufacturer: null,
  firmware: null,
  certifiedBy: null,
  endorsement: null,
  problem: null,
} as const;

async function tpmStatus(node: BlocktreeNode): Promise<TpmJson> {
  const { chip, keys } = node;
  const issuer = node.options.settings['tpm.issuer'] || null;
  if (chip === undefined) return { ...NOTHING, kind: 'none', ekId: null, claimed: null, issuer };
  const claim = node.chain.state.read(TPMS, chip.ekId);
  const status = {
    kind: chip.tpm.kind,
    ekId: chip.ekId,
    issuer,
    claimed:
      claim === undefined
        ? null
        : {
            height: claim.claimedHeight,
            accountId: accountAddress(claim.ownerId),
            denominationGrains: claim.denominationGrains.toString(),
            own: claim.ownerId === keys.accountId,
            here: claim.nodeId === keys.nodeId,
          },
  };
  try {
    const { manufacturer, firmware, certificate, endorsement } = await (await node.desk()).report();
    return {
      ...status,
      manufacturer,
      firmware,
      certifiedBy: certificate?.issuer ?? null,
      endorsement:
        endorsement === undefined
          ? null
          : {
              issuerId: accountAddress(endorsement.issuer),
              denominationGrains: endorsement.denominationGrains.toString(),
            },
      problem: null,
    };
  } catch (error) {
    if (!(error instanceof TpmError)) throw error;
    return { ...NOTHING, ...status, problem: { code: error.code, detail: error.message } };
  }
}
