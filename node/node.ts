import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { LedgerError } from '../ledger/errors.ts';
import { type Genesis, genesisFromJson } from '../ledger/genesis.ts';
import { grains } from '../ledger/grains.ts';
import type { EkId } from '../ledger/ids.ts';
import { NODES, TPMS } from '../ledger/state/entities.ts';
import type { StorageOffer, TransactionBody } from '../ledger/transaction.ts';
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
import type { Settings } from './config/settings.ts';
import { NodeError } from './errors.ts';
import { type Keys, openKeystore } from './keys/keystore.ts';
import { Chain } from './ledger/chain.ts';
import { LedgerNode } from './ledger/ledger-node.ts';
import { Pruner } from './ledger/prune.ts';
import { keepSeat, reportMisconduct, SEAT_LEFT } from './ledger/seat-keeper.ts';
import { SnapshotServer } from './ledger/snapshot-serve.ts';
import { syncFromSnapshot } from './ledger/snapshot-sync.ts';
import { VerifyPool } from './ledger/verify-pool.ts';
import { hostLink, serveHost } from './market/host-protocol.ts';
import { LedgerView } from './market/ledger-view.ts';
import { Network } from './network/network.ts';
import {
  admissionMode,
  claimedEndorsement,
  issuerOf,
  openNodeTpm,
  present,
  protectionBy,
} from './node-tpm.ts';
import { FragmentStore } from './storage/fragment-store.ts';
import { LevelKeyValues } from './storage/key-values.ts';
import { guardAdmission } from './tpm/admission.ts';
import type { IssuerDesk } from './tpm/issuer-desk.ts';
import { OwnerDesk } from './tpm/owner-desk.ts';
import type { Tpm } from './tpm/tpm.ts';
import { Wallet } from './wallet/wallet.ts';

/** A running node: everything wired together. The console (REST and dashboard) is put on top by the caller. */

const DERIVES_PER_PERIOD = 8;
/** A node that may be far behind waits this long for somebody who says so. */
const FIRST_PEER_MS = 1_500;
/** And this long at its very first start, where executing all blocks would take far longer. */
const FIRST_PEER_EVER_MS = 15_000;
/** What a node on a development network asks when it offers by itself. */
export const DEFAULT_OFFER: StorageOffer = {
  priceGrainsPerGiBPeriod: grains(100_000_000),
  egressGrainsPerGiB: grains(10_000_000),
  collateralPercent: 50,
  freeBytes: 0,
  periodsMin: 1,
  periodsMax: 10_000,
};

export interface NodeOptions {
  readonly dataFolder: string;
  readonly settings: Settings;
  readonly version: string;
  /** What opens the keys of a node without a TPM. */
  readonly passphrase?: string;
}

export interface BlocktreeNode {
  readonly options: NodeOptions;
  readonly genesis: Genesis;
  readonly keys: Keys;
  /** Absent in a node that goes without: it reads and syncs, and cannot claim. */
  readonly chip: { readonly tpm: Tpm; readonly ekId: EkId } | undefined;
  /**
   * The owner's way to a claim, as the data folder has it now: an issuer's answer may have come since the start.
   * Rejects with NodeError `no-tpm`.
   */
  desk(): Promise<OwnerDesk>;
  /** Endorses chips, where this node is an issuer. */
  readonly issuer: IssuerDesk | undefined;
  readonly logger: Logger;
  readonly chain: Chain;
  readonly ledger: LedgerNode;
  readonly network: Network;
  readonly view: LedgerView;
  readonly wallet: Wallet;
  readonly shelf: FragmentStore;
  readonly store: LevelKeyValues;
  readonly host: Host;
  readonly files: FileStore;
  readonly book: HostBook;
  readonly scheduler: Scheduler;
  readonly queue: LocalQueue;
  readonly startedMs: number;
  /** Listeners for what the API streams. */
  readonly feeds: {
    readonly audit: Set<(audit: AuditRecord) => void>;
    readonly job: Set<(job: JobRecord) => void>;
  };
  /** Claims this node's TPM; binds it to this node's key when the account claimed it before. */
  claim(): Promise<{ transactionId: string; height: number }>;
  /** Announces addresses and an offer; no offer takes no new contracts. */
  announce(offer: StorageOffer | undefined): Promise<{ transactionId: string; height: number }>;
  close(): Promise<void>;
}

/** Reads the network file of a data folder. Throws NodeError `not-initialised`, LedgerError `malformed`. */
export function readGenesis(dataFolder: string, settings: Settings): Genesis {
  const path = isAbsolute(settings['network.file'])
    ? settings['network.file']
    : join(dataFolder, settings['network.file']);
  if (!existsSync(path))
    throw new NodeError(
      'not-initialised',
      `there is no network file ${path}; run "blocktree init --network FILE"`,
    );
  try {
    return genesisFromJson(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    throw new NodeError('bad-configuration', `${path} is not a network file: ${(error as Error).message}`);
  }
}

/** Starts a node. What was opened is closed again when a later part fails. */
export async function startNode(options: NodeOptions): Promise<BlocktreeNode> {
  const { dataFolder, settings } = options;
  await mkdir(dataFolder, { recursive: true, mode: 0o700 });
  const logger = openLog(dataFolder, settings);
  const genesis = readGenesis(dataFolder, settings);
  const opened: (() => Promise<void>)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    const tpm = await openNodeTpm(dataFolder, settings, genesis);
    if (tpm !== undefined) opened.push(() => tpm.close());
    const keys = await openKeystore(dataFolder, protectionBy(tpm, options.passphrase));
    const chip = tpm === undefined ? undefined : { tpm, ekId: (await tpm.ek()).ekId };
    const { accountId, accountSecret, nodeId, nodeSecret } = keys;

    const verifying = new VerifyPool({
      onCrash: (error) => logger.warn({ err: error }, 'a thread that verifies signatures ended'),
    });
    const chain = await Chain.open(dataFolder, genesis, verifying);
    opened.push(() => chain.close());
    const { chainId } = chain.rules;
    const desk = async (): Promise<OwnerDesk> =>
      OwnerDesk.open({ tpm: present(tpm), keys, chainId, folder: dataFolder });
    const store = await LevelKeyValues.open(join(dataFolder, 'market'));
    opened.push(() => store.close());
    const network = await Network.open({
      chainId,
      nodeSecret,
      host: settings['link.host'],
      port: settings['link.port'],
      advertise: settings['link.advertise'],
      seeds: settings['link.seeds'],
      records: recordFile(join(dataFolder, 'node-records.json')),
      logger: logger.child({ part: 'network' }),
    });
    opened.push(() => network.close());
    guardAdmission({
      mode: admissionMode(settings),
      network,
      chainId,
      issuers: genesis.issuers,
      ekOf: (id) => chain.state.read(NODES, id)?.ekId,
      async own() {
        const endorsement = tpm === undefined ? undefined : (await desk()).endorsement;
        return tpm === undefined || endorsement === undefined ? undefined : { tpm, endorsement };
      },
    });
    const snapshots = new SnapshotServer(network, chain);
    // Its own address among the seeds is nobody to wait for.
    const own = settings['link.advertise'];
    const hasOtherSeeds = settings['link.seeds'].some((address) => !own.includes(address));
    const stopping = new AbortController();
    opened.push(async () => stopping.abort());
    await syncFromSnapshot({
      chain,
      network,
      logger: logger.child({ part: 'snapshot' }),
      signal: stopping.signal,
      behindMin: settings['ledger.snapshot-behind'],
      waitMs: !hasOtherSeeds ? 0 : chain.final.height === 0 ? FIRST_PEER_EVER_MS : FIRST_PEER_MS,
    });
    const ledger = await LedgerNode.open({
      chain,
      network,
      folder: dataFolder,
      nodeId,
      nodeSecret,
      logger: logger.child({ part: 'ledger' }),
      snapshotBehind: settings['ledger.snapshot-behind'],
    });
    opened.push(() => ledger.close());
    ledger.onFinal(() => snapshots.committed());
    ledger.onLeap(() => snapshots.committed());
    const pruner = new Pruner(chain.store, settings['ledger.keep-bodies'], (error) =>
      logger.error({ err: error }, 'old bodies could not be pruned'),
    );
    opened.push(() => pruner.close());
    pruner.committed();
    ledger.onFinal(() => pruner.committed());
    ledger.onLeap(() => pruner.committed());
    const wallet = new Wallet(ledger, accountId, accountSecret);
    opened.push(async () => wallet.close());

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
    opened.push(() => pool.close());
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
    const feeds: BlocktreeNode['feeds'] = { audit: new Set(), job: new Set() };
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
        for (const listener of feeds.audit) listener(audit);
      },
    });
    const queue = new LocalQueue(
      (job, signal) => scheduler.run(job, signal),
      Date.now,
      (record) => {
        if (record.state === 'failed') logger.info({ job: record.id, reason: record.result }, 'a job failed');
        for (const listener of feeds.job) listener(record);
      },
    );
    opened.push(() => queue.close());
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
    opened.push(async () => clearInterval(timer));

    const node: BlocktreeNode = {
      options,
      genesis,
      keys,
      chip,
      desk,
      issuer: await issuerOf(dataFolder, settings, genesis),
      logger,
      chain,
      ledger,
      network,
      view,
      wallet,
      shelf,
      store,
      host,
      files,
      book,
      scheduler,
      queue,
      startedMs: Date.now(),
      feeds,
      async claim() {
        const { ekId } = present(chip);
        const fresh = await desk();
        const claimed = chain.state.read(TPMS, ekId);
        if (claimed?.ownerId !== accountId || claimed.nodeId === nodeId)
          return wallet.submit(await fresh.claim());
        // A restored node has no endorsement, and need not ask for one where the block of the claim is still whole.
        if (fresh.endorsement === undefined) {
          const kept = claimedEndorsement(chain, ekId, claimed.claimedHeight);
          if (kept !== undefined) await fresh.keep(kept);
        }
        return wallet.submit(await fresh.rebind());
      },
      announce: (offer) =>
        wallet.submit({
          kind: 'announce',
          nodeId,
          addresses: settings['link.advertise'],
          storageOffer: offer,
        }),
      close: closeAll,
    };
    const seat = {
      chain,
      ledger,
      accountId,
      nodeId,
      submit: (body: TransactionBody) => wallet.submit(body),
      logger: logger.child({ part: 'seat' }),
    };
    const stopReporting = reportMisconduct(seat);
    opened.push(async () => stopReporting());
    if (settings['seat.automatic'] && chip !== undefined) {
      const leaveSeat = keepSeat({
        ...seat,
        ekId: chip.ekId,
        wanted: () => store.get(SEAT_LEFT) === undefined,
      });
      opened.push(async () => leaveSeat());
    }
    if (settings['host.automatic'] && chip !== undefined) void actAlone(node);
    return node;
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** A development node claims its TPM and offers its room by itself, trying again until both are final. */
async function actAlone(node: BlocktreeNode): Promise<void> {
  const { chain, keys, logger, shelf } = node;
  const { ekId } = present(node.chip);
  for (let waitMs = 500; ; waitMs = Math.min(waitMs * 2, 10_000)) {
    try {
      if (chain.state.read(TPMS, ekId) === undefined) await node.claim();
      if (
        chain.state.read(NODES, keys.nodeId)?.storageOffer === undefined &&
        node.store.get('offer-withdrawn') === undefined
      ) {
        await node.announce({ ...DEFAULT_OFFER, freeBytes: shelf.limitBytes - shelf.usedBytes });
      }
      return;
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'not-running') return;
      logger.info({ code, reason: (error as Error).message }, 'claiming and offering is tried again');
      await new Promise((done) => setTimeout(done, waitMs).unref());
    }
  }
}

function openLog(dataFolder: string, settings: Settings): Logger {
  const file = settings['log.file'];
  const level = settings['log.level'];
  if (file === '') return pino({ level }, pino.destination(2));
  return pino(
    { level },
    pino.destination({ dest: isAbsolute(file) ? file : join(dataFolder, file), mkdir: true, mode: 0o600 }),
  );
}

/** Node records in a file; losing it costs nothing but the time to hear them again. */
function recordFile(path: string): {
  load(): readonly Uint8Array[];
  save(records: readonly Uint8Array[]): void;
} {
  return {
    load() {
      try {
        return (JSON.parse(readFileSync(path, 'utf8')) as string[]).map((text) =>
          Buffer.from(text, 'base64'),
        );
      } catch {
        return [];
      }
    },
    save: (records) =>
      writeFileSync(path, JSON.stringify(records.map((bytes) => Buffer.from(bytes).toString('base64')))),
  };
}
