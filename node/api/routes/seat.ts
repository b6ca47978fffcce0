import { Type as T } from 'typebox';
import { nodeAddress } from '../../../ledger/ids.ts';
import { SEATS, TOMBSTONES } from '../../../ledger/state/entities.ts';
import { SEAT_LEFT } from '../../ledger/seat-keeper.ts';
import type { BlocktreeNode } from '../../node.ts';
import type { Console } from '../console.ts';
import { time } from '../present.ts';
import { ApiError } from '../problem.ts';
import { Sent } from '../schema/basics.ts';
import { Committee } from '../schema/proofs.ts';
import { Seat } from '../schema/status.ts';

/** The committee that votes now, and this node's place in the pool that the next one is drawn from. */
export function seatRoutes(app: Console, node: BlocktreeNode): void {
  const { chain, chip, ledger } = node;
  app.get(
    '/ledger/committee',
    { config: { role: 'anybody' }, schema: { tags: ['ledger'], response: { 200: Committee } } },
    async () => ({
      epoch: chain.epoch,
      quorum: ledger.quorum,
      seats: chain.seats.map(({ seatId, nodeId }) => ({ ekId: seatId, nodeId: nodeAddress(nodeId) })),
    }),
  );

  app.get(
    '/seat',
    { config: { role: 'viewer' }, schema: { tags: ['tpm'], response: { 200: Seat } } },
    async () => {
      const seat = chip && chain.state.read(SEATS, chip.ekId);
      return {
        inPool: seat?.place !== undefined,
        member: ledger.isMember,
        voting: ledger.isMember && ledger.franchise === 'voting',
        bondGrains: String(seat?.bondGrains ?? 0n),
        renewedAt: seat === undefined ? null : time(seat.renewedMs),
        leftAt: seat?.leftMs === undefined ? null : time(seat.leftMs),
        convicted: chip !== undefined && chain.state.read(TOMBSTONES, chip.ekId) !== undefined,
      };
    },
  );

  app.post(
    '/seat',
    {
      config: { role: 'owner', idempotent: true },
      schema: {
        tags: ['tpm'],
        description:
          'Enters or renews the pool, or leaves it; left again a seat lifetime later, the bond is returned.',
        body: T.Object({ action: T.Union([T.Literal('enter'), T.Literal('leave')]) }),
        response: { 200: Sent },
      },
    },
    async ({ body }) => {
      if (chip === undefined) throw new ApiError(409, 'no-tpm', 'a seat needs a TPM, and this node has none');
      const { action } = body;
      // Remembered first, so that the node does not enter again by itself.
      if (action === 'leave') await node.store.write([{ key: SEAT_LEFT, value: new Uint8Array(0) }]);
      const sent = await node.wallet.submit({ kind: 'seat', ekId: chip.ekId, action });
      if (action === 'enter') await node.store.write([{ key: SEAT_LEFT, value: undefined }]);
      return sent;
    },
  );
}
