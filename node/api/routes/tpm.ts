import { accountAddress } from '../../../ledger/ids.ts';
import { TPMS } from '../../../ledger/state/entities.ts';
import type { BlocktreeNode } from '../../node.ts';
import { TpmError } from '../../tpm/tpm.ts';
import type { Console } from '../console.ts';
import { Sent, type TpmJson, TpmStatus } from '../schema.ts';

/** The chip of this node: what it says of itself, and the steps to its claim. */
export function tpmRoutes(app: Console, node: BlocktreeNode): void {
  app.get(
    '/tpm',
    { config: { role: 'viewer' }, schema: { tags: ['tpm'], response: { 200: TpmStatus } } },
    () => tpmStatus(node),
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
  if (chip === undefined) return { ...NOTHING, kind: 'none', ekId: null, claimed: null };
  const claim = node.chain.state.read(TPMS, chip.ekId);
  const status = {
    kind: chip.tpm.kind,
    ekId: chip.ekId,
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
