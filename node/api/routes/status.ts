import { Type as T } from 'typebox';
import { accountAddress, nodeAddress } from '../../../ledger/ids.ts';
import { clockOf } from '../../../ledger/state/draft.ts';
import type { BlocktreeNode } from '../../node.ts';
import type { Console } from '../console.ts';
import { time } from '../present.ts';
import { ApiError } from '../problem.ts';
import { Status } from '../schema/status.ts';

const HealthState = T.Object({ status: T.Literal('ok') });

/** How the node is: whether it lives is for everybody who can reach the console, all else for those who may read. */
export function statusRoutes(app: Console, node: BlocktreeNode): void {
  const { chain, ledger, network, shelf } = node;
  const anybody = { config: { role: 'anybody' as const } };

  const viewer = { config: { role: 'viewer' as const } };

  app.get('/status', { ...viewer, schema: { tags: ['status'], response: { 200: Status } } }, async () => {
    const { final, genesis, rules } = chain;
    const clock = clockOf(chain.state);
    return {
      version: node.options.version,
      chainId: rules.chainId,
      chainName: genesis.name,
      chainKind: genesis.kind,
      nodeId: nodeAddress(node.keys.nodeId),
      accountId: accountAddress(node.keys.accountId),
      height: final.height,
      finalizedAt: ledger.lastFinalMs === undefined ? null : time(ledger.lastFinalMs),
      finalityMs: ledger.finalityMs === undefined ? null : Math.round(ledger.finalityMs * 10) / 10,
      epoch: chain.epoch,
      view: ledger.view,
      period: clock.period,
      periodMs: rules.parameters.periodMs,
      periodStartedAt: time(clock.periodStartedMs),
      committee: { size: chain.seats.length, quorum: ledger.quorum, member: ledger.isMember },
      peerCount: network.peers().length,
      uptimeMs: Date.now() - node.startedMs,
      storage: { offeredBytes: shelf.limitBytes, usedBytes: shelf.usedBytes },
      catchingUpTo: ledger.catchUpHeight ?? null,
      halted: ledger.haltReason ?? null,
    };
  });

  app.get(
    '/health/live',
    { ...anybody, schema: { tags: ['status'], response: { 200: HealthState } } },
    async () => ({
      status: 'ok' as const,
    }),
  );

  app.get(
    '/health/ready',
    { ...anybody, schema: { tags: ['status'], response: { 200: HealthState } } },
    async () => {
      if (ledger.haltReason !== undefined) throw new ApiError(503, 'halted', ledger.haltReason);
      if (ledger.catchUpHeight !== undefined)
        throw new ApiError(503, 'not-synced', `catching up to height ${ledger.catchUpHeight}`);
      if (network.peers().length === 0 && chain.seats.length > 1)
        throw new ApiError(503, 'no-peers', 'no other node is connected');
      return { status: 'ok' as const };
    },
  );

  app.get(
    '/events',
    {
      ...anybody,
      schema: {
        tags: ['status'],
        description:
          'Server-sent events: block, payment, audit, job, alert, peer. Without a login only blocks.',
      },
    },
    (request, reply) => {
      const last = Number(request.headers['last-event-id']);
      reply.hijack();
      for (const [name, value] of Object.entries(reply.getHeaders()))
        if (value !== undefined) reply.raw.setHeader(name, value);
      if (
        !app.feed.listen(
          reply.raw,
          request.isLoggedIn,
          Number.isSafeInteger(last) && last > 0 ? last : undefined,
        )
      ) {
        reply.raw.writeHead(503).end();
      }
    },
  );
}
