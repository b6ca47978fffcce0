import { readFile, writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { chainIdOf } from '../../ledger/genesis.ts';
import { parseAcorns } from '../../ledger/grains.ts';
import { loadSettings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { backupWords, openKeystore } from '../keys/keystore.ts';
import { readGenesis } from '../node.ts';
import { openNodeTpm, present, protectionBy } from '../node-tpm.ts';
import { openIssuer } from '../tpm/issuer-desk.ts';
import { type ChipReport, OwnerDesk } from '../tpm/owner-desk.ts';
import { acorns, fields } from './output.ts';
import { type PassphraseOptions, readPassphrase } from './passphrase.ts';
import type { Runner } from './runner.ts';

/** The 24 words of a data folder, opened with its TPM or, where it goes without, its passphrase. */
export async function readWords(dataFolder: string, options: PassphraseOptions): Promise<string> {
  const settings = loadSettings(dataFolder, {});
  const tpm = await openNodeTpm(dataFolder, settings, readGenesis(dataFolder, settings));
  try {
    const passphrase = tpm === undefined ? await readPassphrase(options) : undefined;
    return await backupWords(dataFolder, protectionBy(tpm, passphrase));
  } finally {
    await tpm?.close();
  }
}

/** Opens the chip and keys of a data folder for one command. Throws NodeError `no-tpm`. */
async function withDesk<T>(dataFolder: string, use: (desk: OwnerDesk) => Promise<T>): Promise<T> {
  const settings = loadSettings(dataFolder, {});
  const genesis = readGenesis(dataFolder, settings);
  const tpm = present(await openNodeTpm(dataFolder, settings, genesis));
  try {
    const keys = await openKeystore(dataFolder, { kind: 'tpm', tpm });
    return await use(await OwnerDesk.open({ tpm, keys, chainId: chainIdOf(genesis), folder: dataFolder }));
  } finally {
    await tpm.close();
  }
}

interface TpmStatus {
  readonly claimed: { readonly height: number; readonly denominationGrains: string } | null;
}
interface Sent {
  readonly transactionId: string;
  readonly height: number;
}

function describeChip(chip: ChipReport): (readonly [string, string])[] {
  const { kind, manufacturer, firmware, ekId, certificate, endorsement } = chip;
  return [
    ['kind', kind],
    ['manufacturer', manufacturer],
    ['firmware', firmware],
    ['certified by', certificate?.issuer ?? 'nobody'],
    ['ekId', ekId],
    [
      'endorsed',
      endorsement === undefined
        ? 'no: "blocktree tpm request" begins'
        : `with ${acorns(String(endorsement.denominationGrains))}`,
    ],
  ];
}

/** tpm: info, request, endorse, claim, rebind. */
export function tpmCommands(program: Command, run: Runner): void {
  const tpm = program.command('tpm').description('the chip that lets a node take part');
  tpm
    .command('info')
    .description('the chip of this node, and its claim if the node runs')
    .action(
      run(async (context) => {
        const chip = await withDesk(context.dataFolder(), (desk) => desk.report());
        const status = await askNode(() => context.client.get<TpmStatus>('/tpm'));
        const { endorsement, ...rest } = chip;
        const endorsed =
          endorsement === undefined ? null : { denominationGrains: String(endorsement.denominationGrains) };
        const claimed =
          status === undefined
            ? 'unknown: the node does not run'
            : status.claimed === null
              ? 'no'
              : `in block ${status.claimed.height}, ${acorns(status.claimed.denominationGrains)}`;
        return [
          { ...rest, endorsement: endorsed, claimed: status?.claimed },
          fields([...describeChip(chip), ['claimed', claimed]]),
        ];
      }),
    );
  tpm
    .command('request [file]')
    .description(
      'have the chip endorsed: by an issuer online, or with a request written to FILE; no node needs to run',
    )
    .option('--issuer <address>', "address of an issuer's node (default: tpm.issuer of the settings)")
    .option(
      '--certificate <file...>',
      'certificates (PEM or DER) that the chip does not carry itself, its own first',
    )
    .action(
      run(
        async (
          { dataFolder },
          file: string | undefined,
          options: { issuer?: string; certificate?: string[] },
        ) => {
          if (file !== undefined && options.issuer !== undefined)
            throw new NodeError('bad-configuration', 'expected FILE or --issuer, not both');
          const folder = dataFolder();
          const issuer = options.issuer ?? loadSettings(folder, {})['tpm.issuer'];
          if (file === undefined && issuer === '')
            throw new NodeError(
              'bad-configuration',
              'expected FILE to write the request to, or --issuer ADDRESS',
            );
          const certificates = await Promise.all((options.certificate ?? []).map((path) => readFile(path)));
          if (file !== undefined) {
            await withDesk(folder, async (desk) => writeFile(file, await desk.request(certificates)));
            return [
              { file },
              `wrote ${file}: send it to an issuer, and give the answer to "blocktree tpm claim ANSWER"`,
            ];
          }
          const endorsement = await withDesk(folder, (desk) => desk.requestFrom(issuer, certificates));
          const denominationGrains = String(endorsement.denominationGrains);
          return [
            { issuer, ekId: endorsement.ekId, denominationGrains },
            `endorsed with ${acorns(denominationGrains)}; "blocktree tpm claim" claims it`,
          ];
        },
      ),
    );
  tpm
    .command('endorse <request> <answer>')
    .description("the issuer's side: judge a request and write the answer")
    .requiredOption('--issuer <folder>', 'folder with issuer-key, and pinned certificates in issuer/roots/')
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
          const desk = await openIssuer(options.issuer, genesis, parseAcorns(options.denomination));
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
        const sent = await client.send<Sent>('POST', '/tpm/claim');
        return [sent, `claimed; final in block ${sent.height}, transaction ${sent.transactionId}`];
      }),
    );
  tpm
    .command('rebind')
    .description("bind a chip that the account claimed to this machine's node key, as after a restore")
    .action(
      run(async ({ client }) => {
        const sent = await client.send<Sent>('POST', '/tpm/claim');
        return [sent, `bound; final in block ${sent.height}, transaction ${sent.transactionId}`];
      }),
    );
}

/** What the node says, if it runs. */
async function askNode<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NodeError && error.code === 'not-running') return undefined;
    throw error;
  }
}
