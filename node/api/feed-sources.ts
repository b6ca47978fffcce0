import { accountAddress, nodeAddress } from '../../ledger/ids.ts';
import type { BlocktreeNode } from '../node.ts';
import { alertsOf } from './alerts.ts';
import type { Feed } from './feed.ts';
import { presentBlock, time } from './present.ts';

const ALERTS_MS = 5_000;

/** Turns what happens in the node into events for listeners. Gives a function that stops it. */
export function feedEvents(node: BlocktreeNode, feed: Feed): () => void {
  const { chain, ledger, network, feeds, keys } = node;
  const offs = [
    ledger.onFinal((blocks) => {
      for (const { id, block, events } of blocks) {
        feed.emit('block', presentBlock(id, block.header, block.transactions.length, 'final'));
        for (const { event, transactionId } of events) {
          if (event.kind !== 'payment' || (event.to !== keys.accountId && event.from !== keys.accountId))
            continue;
          feed.emit('payment', {
            reason: event.reason,
            amountGrains: event.amountGrains.toString(),
            from: event.from === undefined ? null : accountAddress(event.from),
            to: event.to === undefined ? null : accountAddress(event.to),
            contractId: event.contractId ?? null,
            period: event.period ?? null,
            transactionId: transactionId ?? null,
          });
        }
      }
    }),
    // Of the blocks that were left out there is nothing to tell but where the ledger is now.
    ledger.onLeap(() => {
      const { id } = chain.final;
      const header = chain.header(id);
      if (header !== undefined) feed.emit('block', presentBlock(id, header, undefined, 'final'));
    }),
    network.onPeer((nodeId, state) => feed.emit('peer', { nodeId: nodeAddress(nodeId), state })),
    feeds.audit.add(({ host, atMs, ...rest }) =>
      feed.emit('audit', { ...rest, hostNodeId: nodeAddress(host), at: time(atMs) }),
    ),
    feeds.job.add(({ id, kind, state, result }) =>
      feed.emit('job', { id, kind, state, result: result ?? null }),
    ),
  ];
  let before = '';
  const timer = setInterval(() => {
    // To know them takes a look at every file.
    if (!feed.isHeard) return;
    alertsOf(node).then(
      (alerts) => {
        const now = JSON.stringify(alerts);
        if (now === before) return;
        before = now;
        feed.emit('alert', { alerts });
      },
      // A figure that cannot be read now must not end the process; the next turn reads it again.
      (error: unknown) => node.logger.warn({ err: error }, 'alerts could not be read'),
    );
  }, ALERTS_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    for (const off of offs) off();
  };
}
