import { Type as T } from 'typebox';
import { decode } from '../../../ledger/codec.ts';
import type { NodeId } from '../../../ledger/ids.ts';
import { NODES } from '../../../ledger/state/entities.ts';
import { FRESH, scoreOf } from '../../../market/renter/host-book.ts';
import type { BlocktreeNode } from '../../node.ts';
import type { Console } from '../console.ts';
import { OfferOutlook } from '../schema/owner.ts';

const GIB = 2n ** 30n;
const MONTH_MS = 30 * 24 * 3_600_000;
/** Other nodes that are looked at. */
const NODES_MAX = 10_000;

/** How an offer would stand, before it is announced. */
export function outlookRoutes(app: Console, node: BlocktreeNode): void {
  const { chain, keys, shelf } = node;
  /** What the collateral does to the score that a renter gives, whatever else it knows of the host. */
  const collateralFactor = (percent: number): number =>
    scoreOf(FRESH, percent).score / scoreOf(FRESH, 0).score;

  app.get(
    '/host/offer/outlook',
    {
      config: { role: 'viewer' },
      schema: {
        tags: ['host'],
        description: 'What an offer would earn when all room is taken, and how it stands among the others.',
        querystring: T.Object({
          priceGrainsPerGiBPeriod: T.String({ pattern: '^[0-9]{1,20}$' }),
          collateralPercent: T.Integer({ minimum: 0, maximum: 1_000 }),
        }),
        response: { 200: OfferOutlook },
      },
    },
    async (request) => {
      const price = BigInt(request.query.priceGrainsPerGiBPeriod);
      const rows = await chain.store.rows('node', undefined, NODES_MAX);
      const prices = rows.flatMap(([id, row]) => {
        const { storageOffer } = decode(NODES.codec, row, 'a node');
        return (id as NodeId) === keys.nodeId || storageOffer === undefined
          ? []
          : [BigInt(storageOffer.priceGrainsPerGiBPeriod)];
      });
      const now = node.view.ownOffer();
      const periodsPerMonth = BigInt(Math.max(1, Math.floor(MONTH_MS / chain.rules.parameters.periodMs)));
      return {
        monthWhenFullGrains: ((price * BigInt(shelf.limitBytes) * periodsPerMonth) / GIB).toString(),
        otherOffers: prices.length,
        cheaperOffers: prices.filter((other) => other < price).length,
        sameOffers: prices.filter((other) => other === price).length,
        scoreAgainstNow:
          now === undefined
            ? null
            : collateralFactor(request.query.collateralPercent) / collateralFactor(now.collateralPercent),
      };
    },
  );
}
