import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { accountOf, clockOf } from '../../ledger/state/draft.ts';
import { alertsOf, SEVERITIES } from '../api/alerts.ts';
import { presentSums } from '../api/present.ts';
import type { EarningSums } from '../ledger/store/ledger-index.ts';
import type { BlocktreeNode } from '../node.ts';

/** Metrics for Prometheus: base units, bounded labels, read when they are asked for. */

const GRAINS_PER_ACORN = 1e9;
const registries = new WeakMap<BlocktreeNode, Registry>();

function registryOf(node: BlocktreeNode): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: 'blocktree_' });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name: `blocktree_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  const { chain, ledger, network, shelf, wallet, queue, keys } = node;
  gauge('ledger_height', 'Height of the newest final block', () => chain.final.height);
  gauge('ledger_period', 'Ledger period', () => clockOf(chain.state).period);
  gauge('ledger_view', 'Consensus view', () => ledger.view);
  gauge(
    'ledger_finality_seconds',
    'Median time from the timestamp of late blocks to their finality here',
    () => (ledger.finalityMs ?? 0) / 1_000,
  );
  gauge('mempool_transactions', 'Transactions that wait for a block', () => ledger.mempool.size);
  gauge('network_peers', 'Connected nodes', () => network.peers().length);
  gauge('storage_used_bytes', 'Bytes of fragments on the volumes', () => shelf.usedBytes);
  gauge('storage_limit_bytes', 'Bytes that the volumes may take', () => shelf.limitBytes);
  gauge(
    'wallet_balance_acorns',
    'Balance of the account',
    () => Number(accountOf(chain.state, keys.accountId).balanceGrains) / GRAINS_PER_ACORN,
  );
  gauge('wallet_waiting_transactions', 'Own transactions that are not final', () => wallet.waiting);
  gauge('jobs_pending', 'Jobs that wait or run', () => queue.pending);
  new Gauge({
    name: 'blocktree_host_earnings_acorns',
    help: 'Sum of what the ledger paid this account as a host, by kind; penalties count as paid by it',
    labelNames: ['kind'],
    registers: [registry],
    collect() {
      const sums = presentSums(chain.store.index<EarningSums>(`earned/${keys.accountId}`));
      for (const kind of ['total', 'storage', 'egress', 'fee', 'penalty'] as const)
        this.set({ kind }, Number(sums[`${kind}Grains`]) / GRAINS_PER_ACORN);
    },
  });
  new Gauge({
    name: 'blocktree_alerts',
    help: 'What needs attention, by severity',
    labelNames: ['severity'],
    registers: [registry],
    async collect() {
      const alerts = await alertsOf(node);
      for (const severity of SEVERITIES)
        this.set({ severity }, alerts.filter((alert) => alert.severity === severity).length);
    },
  });
  new Gauge({
    name: 'blocktree_contracts',
    help: 'Live contracts, by the side on which this account is',
    labelNames: ['side'],
    registers: [registry],
    async collect() {
      for (const side of ['host', 'renter'] as const)
        this.set({ side }, (await node.view.contractsOf(side)).length);
    },
  });
  return registry;
}

/** The metrics of a node in the text format. */
export function renderMetrics(node: BlocktreeNode): Promise<string> {
  let registry = registries.get(node);
  if (registry === undefined) {
    registry = registryOf(node);
    registries.set(node, registry);
  }
  return registry.metrics();
}
