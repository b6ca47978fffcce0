import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { accountAddress, nodeAddress } from '../../ledger/ids.ts';
import { formatSettingsFile, loadSettings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { createKeystore, demandNoKeys } from '../keys/keystore.ts';
import { readGenesis } from '../node.ts';
import { openNodeTpm, protectionBy } from '../node-tpm.ts';
import { fields } from './output.ts';
import { type PassphraseOptions, readPassphrase, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { flagsOf, withSettings } from './setting-options.ts';
import { standardInput } from './standard-input.ts';

interface InitOptions extends PassphraseOptions, Record<string, unknown> {
  readonly network: string;
  readonly restore?: boolean;
}

/** The first 24 words of standard input, on as many lines as they come. */
async function readWords(): Promise<string> {
  const words: string[] = [];
  while (words.length < 24) {
    const line = await standardInput.line(words.length === 0 ? 'The 24 words: ' : '… and on: ');
    if (line === undefined) break;
    words.push(...line.split(/\s+/).filter((word) => word !== ''));
  }
  return words.join(' ');
}

/** Makes a data folder: network file, settings that were given as flags, keys. */
async function init(folder: string, options: InitOptions): Promise<readonly [object, string]> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!existsSync(options.network))
    throw new NodeError('not-found', `there is no network file ${options.network}`);
  // Before anything is asked: a second time is a mistake.
  await demandNoKeys(folder);
  const networkPath = join(folder, 'network.json');
  if (!existsSync(networkPath)) await copyFile(options.network, networkPath);
  const flags = flagsOf(options);
  const settings = loadSettings(folder, flags);
  const genesis = readGenesis(folder, settings);
  const tpm = await openNodeTpm(folder, settings, genesis);
  try {
    // Both from standard input only: arguments can be read by everybody on the machine.
    const words = options.restore === true ? await readWords() : undefined;
    const passphrase = tpm === undefined ? await readPassphrase(options, true) : undefined;
    const keys = await createKeystore(folder, {
      protection: protectionBy(tpm, passphrase),
      ...(words === undefined ? {} : { words }),
    });
    const settingsPath = join(folder, 'blocktree.toml');
    if (!existsSync(settingsPath) && Object.keys(flags).length > 0)
      await writeFile(settingsPath, formatSettingsFile(flags));
    const ids = {
      accountId: accountAddress(keys.accountId),
      nodeId: nodeAddress(keys.nodeId),
      ekId: tpm === undefined ? null : (await tpm.ek()).ekId,
    };
    const text = [
      fields([
        ['account', ids.accountId],
        ['node', ids.nodeId],
        ['TPM', ids.ekId ?? 'none: the passphrase guards the keys'],
        ['network', genesis.name],
      ]),
      ...(options.restore === true
        ? []
        : [
            '',
            'Write these 24 words down and keep them offline. Who has them has the account; without them a broken chip takes it along:',
            '',
            keys.words,
          ]),
      '',
      tpm === undefined
        ? 'Next: "blocktree start". Without a TPM this node reads the ledger and does not take part.'
        : options.restore === true
          ? 'Next: "blocktree start", then "blocktree tpm rebind" if the account claimed this chip before, else "blocktree tpm request".'
          : 'Next: "blocktree tpm request FILE", have an issuer endorse it, "blocktree start", "blocktree tpm claim ANSWER".',
    ].join('\n');
    return [ids, text];
  } finally {
    await tpm?.close();
  }
}

/** init: makes a real node. */
export function initCommand(program: Command, run: Runner): void {
  withPassphraseOptions(
    withSettings(
      program
        .command('init')
        .description('make the keys of a real node, sealed to its TPM or guarded by a passphrase'),
    ),
  )
    .requiredOption('--network <file>', 'the network file to join')
    .option('--restore', 'restore an account: its 24 words are read from standard input')
    .action(run(({ dataFolder }, options: InitOptions) => init(dataFolder(), options)));
}
