import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import type { Logger } from 'pino';
import { LedgerError } from '../ledger/errors.ts';
import { type Genesis, genesisFromJson } from '../ledger/genesis.ts';
import { grains } from '../ledger/grains.ts';
import type { EkId } from '../ledger/ids.ts';
import { NODES, TPMS } from '../ledger/state/entities.ts';
import type { StorageOffer } from '../ledger/storage-formats.ts';
import type { TransactionBody } from '../ledger/transaction.ts';
import { Closing } from './closing.ts';
import type { Settings } from './config/settings.ts';
import { NodeError } from './errors.ts';
import { type Keys, openKeystore } from './keys/keystore.ts';
import { keepSeat, reportMisconduct, SEAT_LEFT } from './ledger/seat-keeper.ts';
import { openLog } from './log.ts';
import { type LedgerParts, openLedgerParts } from './node-ledger.ts';
import { type MarketParts, openMarketParts } from './node-market.ts';
import { claimedEndorsement, issuerOf, openNodeTpm, present, protectionBy } from './node-tpm.ts';
import type { IssuerDesk } from './tpm/issuer-desk.ts';
import type { Tpm } from './tpm/tpm.ts';

/** A running node: everything wired together. The console (REST and dashboard) is put on top by the caller. */

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

export interface BlocktreeNode extends LedgerParts, MarketParts {
  readonly options: NodeOptions;
  readonly genesis: Genesis;
  readonly keys: Keys;
  /** Absent in a node that goes without: it reads and syncs, and cannot claim. */
  readonly chip: { readonly tpm: Tpm; readonly ekId: EkId } | undefined;
  /** Endorses chips, where this node is an issuer. */
  readonly issuer: IssuerDesk | undefined;
  readonly logger: Logger;
  readonly startedMs: number;
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
  const closing = new Closing();
  try {
    const tpm = await openNodeTpm(dataFolder, settings, genesis);
    if (tpm !== undefined) closing.add(() => tpm.close());
    const keys = await openKeystore(dataFolder, protectionBy(tpm, options.passphrase));
    const chip = tpm === undefined ? undefined : { tpm, ekId: (await tpm.ek()).ekId };
    const given = { dataFolder, settings, genesis, keys, logger };
    const ledgerParts = await openLedgerParts({ ...given, tpm }, closing);
    const marketParts = await openMarketParts({ ...given, ...ledgerParts }, closing);
    const { wallet } = ledgerParts;
    const node: BlocktreeNode = {
      ...ledgerParts,
      ...marketParts,
      options,
      genesis,
      keys,
      chip,
      issuer: await issuerOf(dataFolder, settings, genesis),
      logger,
      startedMs: Date.now(),
      claim: async () => wallet.submit(await claimOf(node)),
      announce: (offer) =>
        wallet.submit({
          kind: 'announce',
          nodeId: keys.nodeId,
          addresses: settings['link.advertise'],
          storageOffer: offer,
        }),
      close: () => closing.all(),
    };
    takePart(node, closing);
    return node;
  } catch (error) {
    await closing.all();
    throw error;
  }
}

/** What makes the chip this node's: a claim, or a rebinding where the account claimed it before from another node. */
async function claimOf({ chip, chain, keys, desk }: BlocktreeNode): Promise<TransactionBody> {
  const { ekId } = present(chip);
  const fresh = await desk();
  const claimed = chain.state.read(TPMS, ekId);
  if (claimed?.ownerId !== keys.accountId || claimed.nodeId === keys.nodeId) return fresh.claim();
  // A restored node has no endorsement, and need not ask for one where the block of the claim is still whole.
  if (fresh.endorsement === undefined) {
    const kept = claimedEndorsement(chain, ekId, claimed.claimedHeight);
    if (kept !== undefined) await fresh.keep(kept);
  }
  return fresh.rebind();
}

/** Reports those who contradict themselves, and does what the settings want done alone. */
function takePart(node: BlocktreeNode, closing: Closing): void {
  const { chain, ledger, keys, chip, store, logger } = node;
  const { settings } = node.options;
  const seat = {
    chain,
    ledger,
    accountId: keys.accountId,
    nodeId: keys.nodeId,
    submit: (body: TransactionBody) => node.wallet.submit(body),
    logger: logger.child({ part: 'seat' }),
  };
  closing.add(reportMisconduct(seat));
  if (chip === undefined) return;
  if (settings['seat.automatic'])
    closing.add(keepSeat({ ...seat, ekId: chip.ekId, wanted: () => store.get(SEAT_LEFT) === undefined }));
  if (settings['host.automatic']) void actAlone(node);
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
