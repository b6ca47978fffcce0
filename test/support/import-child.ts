import { readFileSync } from 'node:fs';
import { genesisFromJson } from '../../ledger/genesis.ts';
import { Chain } from '../../node/ledger/chain/chain.ts';
import { importLedger } from '../../node/ledger/maintenance/import-ledger.ts';

/** A process that takes a ledger file over and says how far it is, to be killed: FOLDER FILE NETWORK-FILE. */
const [folder, file, networkFile] = process.argv.slice(2) as [string, string, string];
const chain = await Chain.open(folder, genesisFromJson(JSON.parse(readFileSync(networkFile, 'utf8'))));
await importLedger(chain, file, (part, bytes) => process.stdout.write(`${part} ${bytes}\n`));
await chain.close();
process.stdout.write('done\n');
