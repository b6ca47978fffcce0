import { demand } from '../errors.ts';
import type { StorageOffer } from '../storage-formats.ts';
import type { BodyOf } from '../transaction.ts';
import type { OperationContext } from './context.ts';
import type { StateDraft } from './draft.ts';
import { NODES, TOMBSTONES } from './entities.ts';

const COLLATERAL_PERCENT_MAX = 1_000;
const PERIODS_MAX = 1_048_576;

/** The owner of a node says where it is reached and what it offers; without an offer it takes no new contracts. */
export function applyAnnounce(state: StateDraft, context: OperationContext, body: BodyOf<'announce'>): void {
  const node = state.read(NODES, body.nodeId);
  demand(node !== undefined, 'node-unknown', 'no claimed TPM is bound to this node key');
  demand(node.ownerId === context.sender, 'not-owner', "only the owner of the node's TPM may announce it");
  demand(
    body.storageOffer === undefined || state.read(TOMBSTONES, node.ekId) === undefined,
    'tpm-tombstoned',
    'this TPM signed contradicting votes and offers nothing any more',
  );
  for (const address of body.addresses) {
    demand(/^[^\s/]{1,249}:\d{1,5}$/.test(address), 'bad-record', 'expected addresses such as host:7000');
  }
  if (body.storageOffer !== undefined) checkOffer(body.storageOffer);
  state.write(NODES, body.nodeId, {
    ...node,
    addresses: body.addresses,
    storageOffer: body.storageOffer,
    announcedHeight: context.height,
  });
  context.emit({ kind: 'announced', nodeId: body.nodeId });
}

/** Throws LedgerError `bad-offer` that says what was expected. */
export function checkOffer(offer: StorageOffer): void {
  demand(offer.periodsMin >= 1, 'bad-offer', 'the shortest contract must be at least 1 period');
  demand(
    offer.periodsMax >= offer.periodsMin && offer.periodsMax <= PERIODS_MAX,
    'bad-offer',
    `the longest contract must be from the shortest to ${PERIODS_MAX} periods`,
  );
  demand(
    offer.collateralPercent <= COLLATERAL_PERCENT_MAX,
    'bad-offer',
    `collateral must be at most ${COLLATERAL_PERCENT_MAX} % of the price`,
  );
}
