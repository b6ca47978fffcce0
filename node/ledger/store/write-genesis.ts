import { blockIdOf, genesisHeader } from '../../../ledger/block.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { commit } from '../../../ledger/commitment/commitment.ts';
import { chainIdOf, type Genesis } from '../../../ledger/genesis.ts';
import { genesisChanges } from '../../../ledger/state/genesis-state.ts';
import { Breather } from '../../breather.ts';
import { addBlock, addChanges } from './batch-parts.ts';
import { encodeFinal, type FinalRecord } from './final-record.ts';
import { CHAIN_KEY, type Database, FINAL_KEY, pagesAt, rowsAt, write } from './ledger-database.ts';
import { orderKey } from './state-tree.ts';

/** Makes the ledger of a network: its state, and its first block. On disk when it resolves. */
export async function writeGenesis(db: Database, genesis: Genesis): Promise<void> {
  const changes = genesisChanges(genesis);
  const { root, pages } = commit(() => undefined, changes);
  const header = genesisHeader(genesis, root);
  const batch = db.batch();
  const breather = new Breather();
  await addChanges(batch, rowsAt(''), changes, breather);
  await addChanges(batch, pagesAt(''), pages, breather);
  for (const key of changes.keys()) batch.put(orderKey('', key), utf8(key));
  addBlock(batch, { header, transactions: [] }, true);
  const final: FinalRecord = {
    id: blockIdOf(header),
    height: 0,
    epoch: 0,
    view: 0,
    timestampMs: header.timestampMs,
    certificate: undefined,
  };
  batch.put(FINAL_KEY, encodeFinal(final));
  batch.put(CHAIN_KEY, utf8(chainIdOf(genesis)));
  await write(db, batch, { sync: true });
}
