import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { chainIdOf } from '../../ledger/genesis.ts';
import { parseAcorns } from '../../ledger/grains.ts';
import { loadSettings } from '../config/settings.ts';
import { readIssuerKey } from '../devnet/create.ts';
import { backupWords, openKeystore } from '../keys/keystore.ts';
import { readGenesis, tpmAddress } from '../node.ts';
import { IssuerDesk } from '../tpm/issuer-desk.ts';
import { openTpm } from '../tpm/open.ts';
import { OwnerDesk } from '../tpm/owner-desk.ts';
import { acorns, fields } from './output.ts';
import type { Runner } from './runner.ts';

/** Opens the chip and gives the 24 words of a data folder. */
export async function readWords(dataFolder: string): Promise<string> {
  const settings = loadSettings(dataFolder, {});
  const tpm = await openTpm(tpmAddress(dataFolder, settings), readGenesis(dataFolder, settings).kind);
  try {
    return await backupWords(dataFolder, { kind: 'tpm', tpm });
  } finally {
    await tpm.close();
  }
}

/** Opens the chip and keys of a data folder for one command. */
async function withDesk<T>(dataFolder: string, use: (desk: OwnerDesk) => Promise<T>): Promise<T> {
  const settings = loadSettings(dataFolder, {});
  const genesis = readGenesis(dataFolder, settings);
  const tpm = await openTpm(tpmAddress(dataFolder, settings), genesis.kind);
  try {
    const keys = await openKeystore(dataFolder, { kind: 'tpm', tpm });
    return await use(await OwnerDesk.open({ tpm, keys, chainId: chainIdOf(genesis), folder: dataFolder }));
  } finally {
    await tpm.close();
  }
}

/** tpm: info, request, endorse, claim, rebind. */
export function tpmCommands(program: Command, run: Runner): void {
  const tpm = program.command('tpm').description('the chip that lets a node take part');
  tpm
    .command('info')
    .description('the chip of this node and its claim')
    .action(
      run(async ({ client }) => {
        const status = await client.get<{
          kind: string;
          ekId: string;
          manufacturer: string;
          endorsed: boolean;
          claimed: { height: number; denominationGrains: string } | null;
        }>('/tpm');
        return [
          status,
          fields([
            ['kind', status.kind],
            ['manufacturer', status.manufacturer],
            ['ekId', status.ekId],
            ['endorsed', status.endorsed ? 'yes' : 'no: "blocktree tpm request" begins'],
            [
              'claimed',
              status.claimed === null
                ? 'no'
                : `in block ${status.claimed.height}, ${acorns(status.claimed.denominationGrains)}`,
            ],
          ]),
        ];
      }),
    );
  tpm
    .command('request <file>')
    .description('write a request for an issuer; no node needs to run')
    .action(
      run(async ({ dataFolder }, file: string) => {
        await withDesk(dataFolder(), async (desk) => writeFile(file, await desk.request()));
        return [
          { file },
          `wrote ${file}: send it to an issuer, and give the answer to "blocktree tpm claim ANSWER"`,
        ];
      }),
    );
  tpm
    .command('endorse <request> <answer>')
    .description("the issuer's side: judge a request and write the answer")
    .requiredOption('--issuer <folder>', 'folder with issuer-key and pinned certificates in roots/')
    .requiredOption('--denomination <acorns>', 'what the chip brings its owner')
    .action(
      run(
        async (
          { dataFolder },
          request: string,
          answer: string,
          options: { issuer: string; denomination: string },
        ) => {
          const folder = dataFolder();
          const genesis = readGenesis(folder, loadSettings(folder, {}));
          const desk = await IssuerDesk.open({
            folder: join(options.issuer, 'issuer'),
            issuerSecret: await readIssuerKey(options.issuer),
            chainId: chainIdOf(genesis),
            chainKind: genesis.kind,
            denominationGrains: parseAcorns(options.denomination),
          });
          await writeFile(answer, await desk.answer(await readFile(request, 'utf8')));
          return [{ answer }, `wrote ${answer}: send it back to the owner`];
        },
      ),
    );
  tpm
    .command('claim [answer]')
    .description("claim the chip; ANSWER is the issuer's file, when the node has not got it yet")
    .action(
      run(async ({ client, dataFolder }, answer: string | undefined) => {
        if (answer !== undefined) {
          const text = await readFile(answer, 'utf8');
          await withDesk(dataFolder(), (desk) => desk.accept(text));
        }
        const sent = await client.send<{ transactionId: string; height: number }>('POST', '/tpm/claim');
        return [sent, `claimed; final in block ${sent.height}, transaction ${sent.transactionId}`];
      }),
    );
  tpm
    .command('rebind')
    .description("bind a chip that the account claimed to this machine's node key, as after a restore")
    .action(
      run(async ({ client }) => {
        const sent = await client.send<{ transactionId: string; height: number }>('POST', '/tpm/claim');
        return [sent, `bound; final in block ${sent.height}, transaction ${sent.transactionId}`];
      }),
    );
}
