import { decode } from '../../../ledger/codec.ts';
import { accountAddress, type NodeId, nodeAddress } from '../../../ledger/ids.ts';
import { NODES } from '../../../ledger/state/entities.ts';
import { scoreOf } from '../../../market/renter/host-book.ts';
import type { BlocktreeNode } from '../../node.ts';
import { allows } from '../access.ts';
import type { Console } from '../console.ts';
import { type PageRequest, pageOf } from '../paging.ts';
import { presentOffer } from '../present.ts';
import { PageQuery, page } from '../schema/basics.ts';
import { NodeEntry } from '../schema/ledger.ts';

const NODE_ID = /^[0-9a-f]{66}$/;

/** The nodes on the ledger, what they offer, and what this one thinks of them. */
export function nodeRoutes(app: Console, node: BlocktreeNode): void {
  const { chain } = node;
  const anybody = { config: { role: 'anybody' as const } };

  /** What this node knows or thinks of another beyond the ledger is for its owner's eyes. */
  const nodes = (request: PageRequest, mayRead: boolean, onlyOffering = false) => {
    const members = new Set(chain.seats.map((seat) => seat.nodeId));
    const present = ([id, row]: readonly [string, Uint8Array]) => {
      const nodeId = id as NodeId;
      const entry = decode(NODES.codec, row, 'a node');
      if (onlyOffering && entry.storageOffer === undefined) return undefined;
      const notes = node.book.notes(nodeId);
      const rating =
        entry.storageOffer === undefined || !mayRead
          ? undefined
          : scoreOf(notes, entry.storageOffer.collateralPercent);
      return {
        nodeId: nodeAddress(nodeId),
        ownerId: accountAddress(entry.ownerId),
        ekId: entry.ekId,
        addresses: [...entry.addresses],
        offer: entry.storageOffer === undefined ? null : presentOffer(entry.storageOffer),
        committeeMember: members.has(nodeId),
        connected: mayRead ? node.network.connected(nodeId) : null,
        self: nodeId === node.keys.nodeId,
        score: rating?.score ?? null,
        scoreFactors: rating === undefined ? null : { ...rating.factors },
        suspended: (mayRead ? notes.suspended : undefined) ?? null,
      };
    };
    return pageOf(
      request,
      NODE_ID,
      (after, limit) => chain.store.rows('node', after, limit),
      ([id]) => id,
      present,
    );
  };
  app.get(
    '/ledger/nodes',
    { ...anybody, schema: { tags: ['ledger'], querystring: PageQuery, response: { 200: page(NodeEntry) } } },
    (request) => nodes(request.query, allows(request.role, 'viewer')),
  );
  app.get(
    '/ledger/offers',
    { ...anybody, schema: { tags: ['ledger'], querystring: PageQuery, response: { 200: page(NodeEntry) } } },
    (request) => nodes(request.query, allows(request.role, 'viewer'), true),
  );
}
