import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Genesis } from '../ledger/genesis.ts';
import { NODES } from '../ledger/state/entities.ts';
import type { Closing } from './closing.ts';
import type { Settings } from './config/settings.ts';
import type { Keys } from './keys/keystore.ts';
import { Chain } from './ledger/chain/chain.ts';
import { LedgerNode } from './ledger/ledger-node.ts';
import { VerifyPool } from './ledger/signatures/verify-pool.ts';
import { SnapshotServer } from './ledger/snapshots/snapshot-serve.ts';
import { syncFromSnapshot } from './ledger/snapshots/snapshot-sync.ts';
import { Pruner } from './ledger/store/prune.ts';
import { Network } from './network/network.ts';
import { recordFile } from './network/record-file.ts';
import { admissionMode, present } from './node-tpm.ts';
import { guardAdmission } from './tpm/admission.ts';
import { OwnerDesk } from './tpm/owner-desk.ts';
import type { Tpm } from './tpm/tpm.ts';
import { Wallet } from './wallet/wallet.ts';

/** The half of a node that keeps the ledger: chain, links, consensus, and the account's own transactions. */

/** A node that may be far behind waits this long for somebody who says so. */
const FIRST_PEER_MS = 1_500;
/** And this long at its very first start, where executing all blocks would take far longer. */
const FIRST_PEER_EVER_MS = 15_000;

export interface LedgerParts {
  readonly chain: Chain;
  readonly network: Network;
  readonly ledger: LedgerNode;
  readonly wallet: Wallet;
  /** Rejects with NodeError `no-tpm`. */
  desk(): Promise<OwnerDesk>;
}

interface LedgerPartsOptions {
  readonly dataFolder: string;
  readonly settings: Settings;
  readonly genesis: Genesis;
  readonly keys: Keys;
  readonly tpm: Tpm | undefined;
  readonly logger: Logger;
}

/**
 * Opens the parts in the order in which they need each other; `closing` undoes what was opened. Throws NodeError or
 * NetworkError.
 */
export async function openLedgerParts(
  { dataFolder, settings, genesis, keys, tpm, logger }: LedgerPartsOptions,
  closing: Closing,
): Promise<LedgerParts> {
  const verifying = new VerifyPool({
    onCrash: (error) => logger.warn({ err: error }, 'a thread that verifies signatures ended'),
  });
  const chain = await Chain.open(dataFolder, genesis, verifying);
  closing.add(() => chain.close());
  const { chainId } = chain.rules;
  const desk = async (): Promise<OwnerDesk> =>
    OwnerDesk.open({ tpm: present(tpm), keys, chainId, folder: dataFolder });
  const network = await Network.open({
    chainId,
    nodeSecret: keys.nodeSecret,
    host: settings['link.host'],
    port: settings['link.port'],
    advertise: settings['link.advertise'],
    seeds: settings['link.seeds'],
    records: recordFile(join(dataFolder, 'node-records.json')),
    logger: logger.child({ part: 'network' }),
  });
  closing.add(() => network.close());
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
  closing.add(() => stopping.abort());
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
    nodeId: keys.nodeId,
    nodeSecret: keys.nodeSecret,
    logger: logger.child({ part: 'ledger' }),
    snapshotBehind: settings['ledger.snapshot-behind'],
  });
  closing.add(() => ledger.close());
  const pruner = new Pruner(chain.store, settings['ledger.keep-bodies'], (error) =>
    logger.error({ err: error }, 'old bodies could not be pruned'),
  );
  closing.add(() => pruner.close());
  pruner.committed();
  const committed = (): void => {
    snapshots.committed();
    pruner.committed();
  };
  ledger.onFinal(committed);
  ledger.onLeap(committed);
  const wallet = new Wallet(ledger, keys.accountId, keys.accountSecret);
  closing.add(() => wallet.close());
  return { chain, network, ledger, wallet, desk };
}
