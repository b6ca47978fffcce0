import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlockHeader, decodeBlock } from '../../../ledger/block.ts';
import { type Boundary, decodeBoundary } from '../../../ledger/consensus/trust-chain.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import { chainIdOf, type Genesis } from '../../../ledger/genesis.ts';
import type { BlockId, ChainId } from '../../../ledger/ids.ts';
import { NodeError } from '../../errors.ts';
import { checkLevelFiles } from '../../storage/level-files.ts';
import { Chain } from '../chain/chain.ts';
import { replayBlocks } from '../chain/replay.ts';
import { decodeFinal, type FinalRecord } from '../store/final-record.ts';
import { checkFromGenesis } from '../store/finality.ts';
import { HeightMark } from '../store/height-mark.ts';
import {
  CHAIN_KEY,
  type Database,
  FINAL_KEY,
  ledgerLocation,
  openError,
  openUnchecked,
  readText,
  refuseInUse,
  sortable,
} from '../store/ledger-database.ts';
import { boundaryKey } from '../store/ledger-store.ts';
import { type CheckProgress, type Finding, LedgerCheck } from './ledger-check.ts';
import { verifyBlocks } from './verify-blocks.ts';
import { verifyState } from './verify-state.ts';

/** Checks a ledger that no node has open: files, blocks, certificate, state; and on demand that executing gives the same. */

export interface VerifyReport {
  readonly height: number;
  readonly blocks: number;
  /** Blocks of which only the header is kept. */
  readonly pruned: number;
  readonly abandoned: number;
  readonly rows: number;
  readonly pages: number;
  /** Blocks that were executed again; absent when that was not asked for, or bodies are pruned, or something is wrong. */
  readonly replayed: number | undefined;
  readonly findings: readonly Finding[];
  /** Findings beyond those that are listed. */
  readonly more: number;
  readonly whatToDo: string | undefined;
}

export interface VerifyOptions {
  readonly dataFolder: string;
  readonly genesis: Genesis;
  /** The first height whose block is looked into. */
  readonly from?: number;
  /** Executes everything again from genesis, in a folder of its own beside the ledger. */
  readonly replay?: boolean;
  readonly onProgress?: CheckProgress;
}

/** Throws NodeError `data-in-use`, `data-of-another-chain`, `not-found`, as `diskError`; what is damaged is found, not thrown. */
export async function verifyLedger(options: VerifyOptions): Promise<VerifyReport> {
  const { dataFolder, genesis, from = 0, onProgress = () => undefined } = options;
  const location = ledgerLocation(dataFolder);
  const check = new LedgerCheck(onProgress);
  const report = (height = 0, replayed?: number): VerifyReport => ({
    height,
    ...check.counts,
    replayed,
    findings: check.findings,
    more: check.more,
    whatToDo:
      check.findings.length === 0
        ? undefined
        : `Move ${location} away. Then start the node, which fetches the ledger from the network again, or put an export back with "blocktree ledger import FILE" before.`,
  });

  if (!existsSync(location)) throw new NodeError('not-found', `there is no ledger in ${location} yet`);
  const damages = await checkLevelFiles(location, (done, total) => onProgress('files', done, total)).catch(
    (error: unknown) => {
      throw openError(location, error);
    },
  );
  for (const { file, what } of damages) check.add(file, what);
  if (damages.length > 0) {
    refuseInUse(location);
    return report();
  }
  const db = await openUnchecked(location);
  try {
    const chainId = readText<ChainId>(db.getSync(CHAIN_KEY));
    const final = verifyFinalRecord(db, check);
    const marked = HeightMark.read(location);
    if (chainId === undefined && marked === 0 && (await db.keys({ limit: 1 }).next()) === undefined)
      throw new NodeError('not-found', `there is no ledger in ${location} yet`);
    if (chainId !== undefined && chainId !== chainIdOf(genesis))
      throw new NodeError('data-of-another-chain', `the ledger in ${location} belongs to another network`);
    if (final === undefined || chainId === undefined) {
      if (check.findings.length === 0) check.add('the record of the newest block', 'it is missing');
      return report();
    }
    if (marked > final.height)
      check.add(
        'the newest blocks',
        `it ends at block ${final.height}, and block ${marked} was final here before`,
      );
    const newest = await verifyBlocks(db, check, { chainId, final, from });
    await verifyState(db, check, newest);
    verifyCertificate(db, check, genesis, final, newest);
    const mayReplay = check.findings.length === 0 && check.counts.pruned === 0;
    const replayed =
      options.replay === true && mayReplay ? await replay(db, check, options, final) : undefined;
    return report(final.height, replayed);
  } finally {
    await db.close();
  }
}

function verifyFinalRecord(db: Database, check: LedgerCheck): FinalRecord | undefined {
  const bytes = db.getSync(FINAL_KEY);
  return bytes && check.read('the record of the newest block', () => decodeFinal(bytes));
}

/** The newest block from genesis on, committee by committee. */
function verifyCertificate(
  db: Database,
  check: LedgerCheck,
  genesis: Genesis,
  { certificate }: FinalRecord,
  header: BlockHeader | undefined,
): void {
  if (certificate === undefined || header === undefined) return;
  check.read('the certificate of the newest block', () => {
    const boundaries: Boundary[] = [];
    for (let epoch = 0; epoch < certificate.epoch; epoch++) {
      const bytes = db.getSync(boundaryKey(epoch));
      if (bytes === undefined)
        return check.add(`the last block of epoch ${epoch}`, 'what proves it is missing');
      boundaries.push(decodeBoundary(bytes));
    }
    return checkFromGenesis(genesis, boundaries, { header, certificate });
  });
}

/** Executes all blocks again on a fresh ledger; gives how many. */
async function replay(
  db: Database,
  check: LedgerCheck,
  { dataFolder, genesis }: VerifyOptions,
  final: FinalRecord,
): Promise<number> {
  const folder = join(dataFolder, 'ledger-replay');
  await rm(folder, { recursive: true, force: true });
  const chain = await Chain.open(folder, genesis);
  try {
    const blocks = async function* () {
      for (let height = 1; height <= final.height; height++) {
        const id = readText<BlockId>(db.getSync(`h/${sortable(height)}`));
        yield decodeBlock(db.getSync(`b/${id}`) as Uint8Array);
      }
    };
    await replayBlocks(chain, blocks(), {
      onHeight: (height) => check.onProgress('replay', height, final.height),
    });
    if (chain.final.id !== final.id) check.add('replay', 'it ends in another block');
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    check.add(
      `block ${chain.final.height + 1} or a few above it`,
      `executing it again fails: ${error.message}`,
    );
  } finally {
    await chain.close();
    await rm(folder, { recursive: true, force: true });
  }
  return chain.final.height;
}
