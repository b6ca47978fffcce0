import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { chainIdOf } from '../../ledger/genesis.ts';
import { accountAddress, nodeAddress } from '../../ledger/ids.ts';
import { withSetting } from '../config/edit-settings.ts';
import { formatSettingsFile, loadSettings, type SettingName, type Settings } from '../config/settings.ts';
import { NodeError } from '../errors.ts';
import { type Founder, formatFounder } from '../founding.ts';
import { createKeystore, demandNoKeys, describeKeystore, type Keys } from '../keys/keystore.ts';
import { openNodeTpm, protectionBy } from '../node-tpm.ts';
import type { Tpm } from '../tpm/tpm.ts';
import { type FoundOptions, found } from './found.ts';
import { type NetworkFile, readNetworkFile } from './network-file.ts';
import { fields } from './output.ts';
import { type PassphraseOptions, readPassphrase, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { flagsOf, withSettings } from './setting-options.ts';
import { standardInput } from './standard-input.ts';

type Said = readonly [object, string];

interface InitOptions extends PassphraseOptions, Partial<FoundOptions>, Record<string, unknown> {
  readonly network?: string;
  readonly founder?: string;
  readonly restore?: boolean;
}

const NEW_WORDS =
  'Write these 24 words down and keep them offline. Who has them has the account; without them a broken chip takes it along:';

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

/** Keeps the settings that were given as flags, beside those that were kept before. */
async function keepSettings(folder: string, flags: Partial<Record<SettingName, string>>): Promise<void> {
  const path = join(folder, 'blocktree.toml');
  if (Object.keys(flags).length === 0) return;
  let text = existsSync(path) ? await readFile(path, 'utf8') : formatSettingsFile(flags);
  for (const [name, value] of Object.entries(flags))
    text = withSetting(text, path, name as SettingName, value);
  await writeFile(path, text);
}

/** Makes the keys of a folder and gives what there is to say of them. */
async function makeKeys(
  folder: string,
  options: InitOptions,
  settings: Settings,
  kind: 'public' | 'dev',
): Promise<{
  keys: Keys & { readonly words: string };
  tpm: Tpm['kind'] | undefined;
  ekId: Founder['ekId'] | undefined;
}> {
  const tpm = await openNodeTpm(folder, settings, { kind });
  try {
    // Both from standard input only: arguments can be read by everybody on the machine.
    const words = options.restore === true ? await readWords() : undefined;
    const passphrase = tpm === undefined ? await readPassphrase(options, true) : undefined;
    const keys = await createKeystore(folder, {
      protection: protectionBy(tpm, passphrase),
      ...(words === undefined ? {} : { words }),
    });
    return { keys, tpm: tpm?.kind, ekId: tpm === undefined ? undefined : (await tpm.ek()).ekId };
  } finally {
    await tpm?.close();
  }
}

/** Keys, settings and network file for a network that is there. */
async function joinNetwork(
  folder: string,
  { text, genesis }: NetworkFile,
  options: InitOptions,
): Promise<Said> {
  const flags = flagsOf(options);
  const networkPath = join(folder, 'network.json');
  const before = await describeKeystore(folder);
  // Who made keys as a founder has no network file yet; for everybody else a second time is a mistake.
  const isFounder = before !== undefined && !existsSync(networkPath) && options.restore !== true;
  if (!isFounder) await demandNoKeys(folder);
  if (existsSync(networkPath) && (await readFile(networkPath, 'utf8')) !== text)
    throw new NodeError('exists', `${networkPath} is there already and another one: move it away first`);
  const chainId = chainIdOf(genesis);
  if (isFounder) {
    await writeFile(networkPath, text);
    await keepSettings(folder, flags);
    const isNamed = genesis.committee.some(({ nodeId }) => nodeId === before.nodeId);
    const ids = { nodeId: nodeAddress(before.nodeId), chainId, founder: isNamed };
    const next = isNamed
      ? 'This node has a seat in its first committee. Compare the chain with the other founders; then "blocktree start".'
      : 'Its founders do not name this node: it joins like any other.';
    return [
      ids,
      `${fields([
        ['network', genesis.name],
        ['chain', chainId],
        ['node', ids.nodeId],
      ])}\n\n${next}`,
    ];
  }
  const settings = loadSettings(folder, flags);
  await writeFile(networkPath, text);
  const { keys, ekId } = await makeKeys(folder, options, settings, genesis.kind);
  await keepSettings(folder, flags);
  const ids = {
    accountId: accountAddress(keys.accountId),
    nodeId: nodeAddress(keys.nodeId),
    ekId: ekId ?? null,
    chainId,
  };
  const said = [
    fields([
      ['account', ids.accountId],
      ['node', ids.nodeId],
      ['TPM', ids.ekId ?? 'none: the passphrase guards the keys'],
      ['network', genesis.name],
      ['chain', chainId],
    ]),
    ...(options.restore === true ? [] : ['', NEW_WORDS, '', keys.words]),
    '',
    ekId === undefined
      ? 'Next: "blocktree start". Without a TPM this node reads the ledger and does not take part.'
      : options.restore === true
        ? 'Next: "blocktree start", then "blocktree tpm rebind" if the account claimed this chip before, else "blocktree tpm request".'
        : 'Next: "blocktree tpm request FILE", have an issuer endorse it, "blocktree start", "blocktree tpm claim ANSWER".',
  ];
  return [ids, said.join('\n')];
}

/** Keys of one who founds a network with others, and the file that he gives them. */
async function prepareFounder(folder: string, file: string, options: InitOptions): Promise<Said> {
  await demandNoKeys(folder);
  const flags = flagsOf(options);
  const settings = loadSettings(folder, flags);
  // What kind of network it will be is not known yet; a software TPM can only mean one.
  const isSoftware = settings['tpm.device'].startsWith('software:');
  const { keys, tpm, ekId } = await makeKeys(folder, options, settings, isSoftware ? 'dev' : 'public');
  if (tpm === undefined || ekId === undefined)
    throw new NodeError('no-tpm', 'a founder takes a seat, and a seat stands for a TPM: set tpm.device');
  await keepSettings(folder, flags);
  const { nodeId, accountId } = keys;
  const addresses = settings['link.advertise'];
  await writeFile(file, formatFounder({ nodeId, accountId, ekId, tpm, addresses }));
  const ids = { accountId: accountAddress(accountId), nodeId: nodeAddress(nodeId), ekId, file };
  const said = [
    fields([
      ['account', ids.accountId],
      ['node', ids.nodeId],
      ['TPM', ekId],
    ]),
    '',
    NEW_WORDS,
    '',
    keys.words,
    '',
    `Next: give ${file} to whoever founds the network ("blocktree init --found"); with the network file that comes back, "blocktree init --network FILE".`,
  ];
  return [ids, said.join('\n')];
}

async function init(dataFolder: () => string, options: InitOptions): Promise<Said> {
  const { network, founder, found: target } = options;
  const given = [network, founder, target].filter((value) => value !== undefined);
  if (given.length !== 1)
    throw new NodeError(
      'bad-configuration',
      'expected one of --network FILE|URL (join a network), --founder FILE (prepare to found one) and --found FILE (found one)',
    );
  if (target !== undefined) return found(target, options);
  // Before anything is made: a wrong file leaves no folder behind.
  const read = network === undefined ? undefined : await readNetworkFile(network);
  const folder = dataFolder();
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return read === undefined
    ? prepareFounder(folder, founder as string, options)
    : joinNetwork(folder, read, options);
}

/** init: makes a real node, or a network. */
export function initCommand(program: Command, run: Runner): void {
  withPassphraseOptions(
    withSettings(
      program
        .command('init')
        .description('make the keys of a real node, sealed to its TPM or guarded by a passphrase'),
    ),
  )
    .option('--network <file>', 'the network file to join, or an address that gives it')
    .option('--restore', 'restore an account: its 24 words are read from standard input')
    .option('--founder <file>', 'make the keys of a founder, and write what those who found a network need')
    .option('--found <file>', 'write the network file of a new network')
    .option('--founders <file...>', 'with --found: the files of 1, 4, 7, … founders')
    .option('--name <name>', 'with --found: what the network is called')
    .option('--issuer <folder>', 'with --found: folder of who endorses its chips; issuer-key is made there')
    .option('--period <ms>', 'with --found: length of a period (default: a day)')
    .option('--epoch <ms>', 'with --found: how long a committee sits (default: a day)')
    .option('--dev', 'with --found: a development network, on which software TPMs count')
    .action(run(({ dataFolder }, options: InitOptions) => init(dataFolder, options)));
}
