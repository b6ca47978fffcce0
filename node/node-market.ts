import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Genesis } from '../ledger/genesis.ts';
import { contractFollower } from '../market/contract-follower.ts';
import { SlabPool } from '../market/files/slab-pool.ts';
import { Host } from '../market/host/host.ts';
import { Contractor } from '../market/renter/contractor.ts';
import { FileStore } from '../market/renter/file-store.ts';
import { HostBook } from '../market/renter/host-book.ts';
import type { AuditRecord } from '../market/scheduler/audits.ts';
import { LocalQueue } from '../market/scheduler/local-queue.ts';
import type { JobRecord } from '../market/scheduler/queue.ts';
import { Scheduler } from '../market/scheduler/scheduler.ts';
import type { Closing } from './closing.ts';
import type { Settings } from './config/settings.ts';
import type { Keys } from './keys/keystore.ts';
import { Listeners } from './listeners.ts';
import { keepAcquainted } from './market/acquaintance.ts';
import { hostLink, serveHost } from './market/host-protocol.ts';
import { LedgerView } from './market/ledger-view.ts';
import type { LedgerParts } from './node-ledger.ts';
import { FragmentStore } from './storage/fragment-store.ts';
import { LevelKeyValues } from './storage/key-values.ts';

/** The half of a node that trades: files of its own at hosts, fragments of others here, and the jobs of both. */

const DERIVES_PER_PERIOD = 8;

/** Listeners for what the API streams. */
export interface MarketFeeds {
  readonly audit: Listeners<[audit: AuditRecord]>;
  readonly job: Listeners<[job: JobRecord]>;
}

export interface MarketParts {
  readonly store: LevelKeyValues;
  readonly view: LedgerView;
  readonly shelf: FragmentStore;
  readonly host: Host;
  readonly files: FileStore;
  readonly book: HostBook;
  readonly scheduler: Scheduler;
  readonly queue: LocalQueue;
  readonly feeds: MarketFeeds;
}

interface MarketPartsOptions extends Pick<LedgerParts, 'chain' | 'network' | 'ledger' | 'wallet'> {
  readonly dataFolder: string;
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly keys: Keys;
  readonly logger: Logger;
}

/** Opens the parts in the order in which they need each other; `closing` undoes what was opened. Throws NodeError. */
export async function openMarketParts(
  { dataFolder, settings, genesis, keys, logger, chain, network, ledger, wallet }: MarketPartsOptions,
  closing: Closing,
): Promise<MarketParts> {
  const { accountId, accountSecret, nodeId, nodeSecret } = keys;
  const store = await LevelKeyValues.open(join(dataFolder, 'market'));
  closing.add(() => store.close());
  const view = new LedgerView(chain, accountId, nodeId);
  const shelf = await FragmentStore.open(store);
  if (shelf.volumes().length === 0)
    await shelf.addVolume(join(resolve(dataFolder), 'fragments'), settings['host.volume-bytes']);
  const host = new Host({ ledger: view, shelf, store, nodeSecret, now: Date.now });
  await host.open();
  const link = hostLink(network);
  const book = new HostBook(store, view);
  const contractor = new Contractor({ ledger: view, wallet, link, store, accountSecret });
  const pool = new SlabPool();
  closing.add(() => pool.close());
  const files = new FileStore({
    ledger: view,
    link,
    store,
    contractor,
    book,
    pool,
    filesSecret: keys.filesSecret,
    now: Date.now,
    // A development network places the same way every time, so that what it shows can be repeated.
    random: genesis.kind === 'dev' ? () => 0 : Math.random,
  });
  await files.open();
  const feeds: MarketFeeds = { audit: new Listeners(), job: new Listeners() };
  const scheduler = new Scheduler({
    ledger: view,
    wallet,
    link,
    store,
    host,
    files,
    contractor,
    book,
    accountSecret,
    periodMs: genesis.parameters.periodMs,
    now: Date.now,
    onAudit: (audit) => {
      feeds.audit.tell(audit);
    },
  });
  const queue = new LocalQueue(
    (job, signal) => scheduler.run(job, signal),
    Date.now,
    (record) => {
      if (record.state === 'failed') logger.info({ job: record.id, reason: record.result }, 'a job failed');
      feeds.job.tell(record);
    },
  );
  closing.add(() => queue.close());
  serveHost(
    network,
    host,
    (id) => view.ownerOf(id),
    (receipt) => scheduler.receive(receipt),
  );
  const follow = contractFollower({
    ledger: view,
    host,
    scheduler,
    onError: (error) => logger.error({ err: error }, 'a change of contracts was not taken up'),
  });
  ledger.onFinal((blocks) => void follow(blocks.flatMap(({ events }) => events.map(({ event }) => event))));
  const takeUpContracts = async (): Promise<void> => {
    const hosting = await view.contractsOf('host');
    await follow(
      hosting.map(({ id, contract }) => ({ kind: 'contract-revised', contractId: id, contract }) as const),
    );
    derive();
  };
  ledger.onLeap(
    () =>
      void takeUpContracts().catch((error: unknown) =>
        logger.error({ err: error }, 'contracts could not be taken up from the new state'),
      ),
  );
  await scheduler.open(queue);
  const derive = (): void =>
    void scheduler
      .derive()
      .catch((error: unknown) => logger.error({ err: error }, 'jobs could not be derived'));
  const timer = setInterval(
    derive,
    Math.max(1_000, Math.min(60_000, genesis.parameters.periodMs / DERIVES_PER_PERIOD)),
  );
  closing.add(() => clearInterval(timer));
  closing.add(
    keepAcquainted({ view, network, now: () => performance.now(), random: Math.random }, (error) =>
      logger.error({ err: error }, 'the hosts on the ledger could not be read'),
    ),
  );
  return { store, view, shelf, host, files, book, scheduler, queue, feeds };
}
