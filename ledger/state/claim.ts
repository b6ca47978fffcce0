import { verify } from '../crypto/secp256k1.ts';
import { demand } from '../errors.ts';
import { type EkId, idBytes } from '../ids.ts';
import { checkClaimStatement } from '../tpm/claim-statement.ts';
import { type BodyOf, bindingDigest, type ClaimStatement } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import { credit, moveSupply, type StateDraft } from './draft.ts';
import { NODES, TOMBSTONES, TPMS } from './entities.ts';

function checkStatement(
  { chainId, chainKind, issuers, sender }: OperationContext,
  statement: ClaimStatement,
) {
  const checked = checkClaimStatement({
    chainId,
    chainKind,
    issuers,
    nodeId: statement.nodeId,
    accountId: sender,
    endorsement: statement.endorsement,
    attest: statement.attest,
    signature: statement.attestSignature,
  });
  demand(
    verify(
      statement.nodeSignature,
      bindingDigest(chainId, sender, statement.endorsement),
      idBytes(statement.nodeId),
    ),
    'bad-signature',
    'the node key must sign its binding to the TPM',
  );
  return checked;
}

/** Once per TPM for ever: credits its denomination and binds it to a node key. */
export function applyClaim(state: StateDraft, context: OperationContext, body: BodyOf<'claim'>): void {
  const { ekId, denominationGrains } = checkStatement(context, body);
  demand(state.read(TPMS, ekId) === undefined, 'already-claimed', 'this TPM was claimed before');
  demandStanding(state, ekId);
  demand(
    state.read(NODES, body.nodeId) === undefined,
    'node-already-bound',
    'this node key is bound to another TPM',
  );
  state.write(TPMS, ekId, {
    ownerId: context.sender,
    nodeId: body.nodeId,
    denominationGrains,
    claimedHeight: context.height,
  });
  bindNode(state, context, ekId, body.nodeId);
  credit(state, context.sender, denominationGrains);
  moveSupply(state, { claimed: denominationGrains });
  context.emit({ kind: 'claimed', ekId, accountId: context.sender, nodeId: body.nodeId });
  context.pay({ reason: 'claim', to: context.sender, amountGrains: denominationGrains });
}

/** The owner of a claimed TPM binds it to a new node key; the old key is no node any more. */
export function applyRebind(state: StateDraft, context: OperationContext, body: BodyOf<'rebind'>): void {
  const tpm = state.read(TPMS, body.ekId);
  demand(tpm !== undefined, 'tpm-unknown', 'this TPM was never claimed');
  demand(tpm.ownerId === context.sender, 'not-owner', 'only the owner of a TPM may rebind it');
  demandStanding(state, body.ekId);
  const { ekId } = checkStatement(context, body);
  demand(ekId === body.ekId, 'attest-signer', 'the statement is of another TPM');
  demand(
    state.read(NODES, body.nodeId) === undefined,
    'node-already-bound',
    'this node key is bound already',
  );
  state.write(NODES, tpm.nodeId, undefined);
  state.write(TPMS, ekId, { ...tpm, nodeId: body.nodeId });
  bindNode(state, context, ekId, body.nodeId);
  context.emit({ kind: 'rebound', ekId, from: tpm.nodeId, to: body.nodeId });
}

/** Refuses a TPM that was convicted of contradicting votes. */
function demandStanding(state: StateDraft, ekId: EkId): void {
  demand(
    state.read(TOMBSTONES, ekId) === undefined,
    'tpm-tombstoned',
    'this TPM signed contradicting votes and takes part no more',
  );
}

function bindNode(
  state: StateDraft,
  context: OperationContext,
  ekId: EkId,
  nodeId: ClaimStatement['nodeId'],
): void {
  state.write(NODES, nodeId, {
    ekId,
    ownerId: context.sender,
    addresses: [],
    storageOffer: undefined,
    announcedHeight: context.height,
  });
}
