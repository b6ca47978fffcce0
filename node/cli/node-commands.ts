import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { accountAddress, nodeAddress } from '../../ledger/ids.ts';
import { openConsole } from '../api/server.ts';
import { withSetting } from '../config/edit-settings.ts';
import {
  flagName,
  formatSettingsFile,
  isSetting,
  loadSettings,
  SETTINGS,
  type SettingName,
} from '../config/settings.ts';
import type { DevnetTpm } from '../devnet/create.ts';
import type { ReadyMessage } from '../devnet/run.ts';
import { runDevnet } from '../devnet/run.ts';
import { NodeError } from '../errors.ts';
import { createKeystore, demandNoKeys } from '../keys/keystore.ts';
import { writePrivateFile } from '../keys/private-file.ts';
import { readGenesis, startNode } from '../node.ts';
import { openNodeTpm, protectionBy } from '../node-tpm.ts';
import { acorns, bytes, fields } from './output.ts';
import { type PassphraseOptions, readPassphrase, withPassphraseOptions } from './passphrase.ts';
import type { Runner } from './runner.ts';
import { standardInput } from './standard-input.ts';

const names = Object.keys(SETTINGS) as SettingName[];

function withSettings(command: Command): Command {
  for (const name of names) command.option(`${flagName(name)} <value>`, SETTINGS[name].help);
  return command;
}

/** The settings among a command's options. */
function flagsOf(options: Record<string, unknown>): Partial<Record<SettingName, string>> {
  const camel = (name: string): string =>
    name.replaceAll(/[.-](\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(
    names.flatMap((name) =>
      options[camel(name)] === undefined ? [] : [[name, String(options[camel(name)])]],
    ),
  );
}

/** Resolves when the process is asked to stop; a second time ends it at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = (): void => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
    // A node of a development network ends with the process that started it.
    process.on('disconnect', ask);
    // To listen for it would keep a stopped node alive until then.
    process.channel?.unref();
  });
}

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

/** init, start, status, devnet, config. */
export function nodeCommands(program: Command, run: Runner, version: string): void {
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

  withPassphraseOptions(
    withSettings(program.command('start').description('run the node of a data folder')),
  ).action(
    run(async ({ dataFolder }, options: PassphraseOptions & Record<string, unknown>) => {
      const folder = dataFolder();
      const settings = loadSettings(folder, flagsOf(options));
      const passphrase = settings['tpm.device'] === 'none' ? await readPassphrase(options) : undefined;
      const node = await startNode({
        dataFolder: folder,
        settings,
        version,
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      const dashboard = fileURLToPath(new URL('../../dashboard', import.meta.url));
      const stopped = stopSignal();
      try {
        const console_ = await openConsole(
          node,
          folder,
          existsSync(join(dashboard, 'index.html')) ? dashboard : undefined,
        );
        const loginUrl = console_.loginUrl();
        if (process.send !== undefined) process.send({ kind: 'ready', loginUrl } satisfies ReadyMessage);
        else
          process.stdout.write(`Blocktree runs. Dashboard: ${loginUrl}\nData: ${folder}. Ctrl-C stops it.\n`);
        await stopped;
        await console_.close();
      } finally {
        await node.close();
      }
      return [undefined, ''];
    }),
  );

  program
    .command('status')
    .description('how the node is, and a new login link')
    .action(
      run(async ({ client }) => {
        const status = await client.get<{
          chainName: string;
          height: number;
          period: number;
          peerCount: number;
          uptimeMs: number;
          storage: { usedBytes: number; offeredBytes: number };
          halted: string | null;
          catchingUpTo: number | null;
          nodeId: string;
        }>('/status');
        const [wallet, earnings, link, alerts] = await Promise.all([
          client.get<{ balanceGrains: string; accountId: string }>('/wallet'),
          client.get<{ totalGrains: string }>('/host/earnings'),
          client.send<{ code: string }>('POST', '/sessions/links'),
          client.get<{ items: { severity: string; title: string; whatToDo: string }[] }>('/alerts'),
        ]);
        const loginUrl = `${client.base}/login#${link.code}`;
        const text = [
          fields([
            ['network', `${status.chainName}, ${status.peerCount} peers`],
            ['node', status.nodeId],
            ['account', wallet.accountId],
            [
              'height',
              `${status.height}, period ${status.period}${status.catchingUpTo === null ? '' : `, catching up to ${status.catchingUpTo}`}`,
            ],
            ['balance', acorns(wallet.balanceGrains)],
            ['earned', acorns(earnings.totalGrains)],
            ['storage', `${bytes(status.storage.usedBytes)} of ${bytes(status.storage.offeredBytes)} used`],
            ['dashboard', loginUrl],
          ]),
          ...alerts.items.map(
            (alert) => `\n${alert.severity.toUpperCase()}: ${alert.title}\n  ${alert.whatToDo}`,
          ),
        ].join('\n');
        return [
          {
            ...status,
            balanceGrains: wallet.balanceGrains,
            totalGrains: earnings.totalGrains,
            alerts: alerts.items,
            loginUrl,
          },
          text,
        ];
      }),
    );

  program
    .command('devnet')
    .description('run a development network on this machine')
    .option('--nodes <n>', 'how many nodes', '6')
    .option('--period <ms>', 'length of a period', '10000')
    .option('--epoch <ms>', 'how long a committee sits', '86400000')
    .option('--console-port <port>', 'consoles listen on this plus the node number', '7070')
    .option('--link-port <port>', 'links listen on this plus the node number', '7000')
    .addOption(
      new Option(
        '--tpm <kind>',
        'chips of a new network: a key file each, or an emulator (swtpm) each',
      ).choices(['software', 'emulator'] satisfies DevnetTpm[]),
    )
    .action(
      run(
        async (
          { program: root },
          options: {
            nodes: string;
            period: string;
            epoch: string;
            consolePort: string;
            linkPort: string;
            tpm?: DevnetTpm;
          },
        ) => {
          const number = (text: string, name: string, least: number, most: number): number => {
            const value = Number(text);
            if (!Number.isInteger(value) || value < least || value > most)
              throw new NodeError(
                'bad-configuration',
                `expected --${name} from ${least} to ${most}, got "${text}"`,
              );
            return value;
          };
          const data = root.opts<{ data?: string }>().data ?? 'data';
          const folder = join(data, 'devnet');
          const stopped = stopSignal();
          const say = (text: string): void => void process.stdout.write(`· ${text}\n`);
          const devnet = await runDevnet(
            {
              folder,
              nodes: number(options.nodes, 'nodes', 1, 30),
              tpm: options.tpm,
              periodMs: number(options.period, 'period', 1_000, 86_400_000),
              epochMs: number(options.epoch, 'epoch', 1_000, 86_400_000),
              consolePort: number(options.consolePort, 'console-port', 1_024, 65_000),
              linkPort: number(options.linkPort, 'link-port', 1_024, 65_000),
            },
            say,
          );
          say('claiming chips and offering storage');
          await Promise.race([devnet.settled(), stopped]);
          const dataFlag = data === 'data' ? '' : ` --data ${data}`;
          process.stdout.write(
            [
              '',
              'A development network runs on this machine.',
              '',
              `  Dashboard   ${devnet.loginUrl}`,
              `  Data        ${folder}`,
              '',
              'Try, in another shell:',
              `  npx blocktree${dataFlag} put README.md`,
              `  npx blocktree${dataFlag} --node 2 host earnings`,
              `  npx blocktree${dataFlag} ledger tree`,
              '',
              'Ctrl-C stops it; starting again finds everything as it was.',
              '',
            ].join('\n'),
          );
          await stopped;
          say('stopping');
          await devnet.stop();
          return [undefined, ''];
        },
      ),
    );

  const config = program.command('config').description('the settings');
  config
    .command('show')
    .description('the settings in force')
    .action(
      run(async ({ dataFolder }) => {
        const settings = loadSettings(dataFolder(), {});
        return [settings, fields(names.map((name) => [name, JSON.stringify(settings[name])]))];
      }),
    );
  config
    .command('set <key> <value>')
    .description('change a setting in blocktree.toml; lists with commas; holds from the next start on')
    .action(
      run(async ({ dataFolder }, key: string, value: string) => {
        if (!isSetting(key))
          throw new NodeError(
            'bad-configuration',
            `unknown key "${key}"; expected one of ${names.join(', ')}`,
          );
        const path = join(dataFolder(), 'blocktree.toml');
        const source = existsSync(path) ? await readFile(path, 'utf8') : '';
        await writePrivateFile(path, withSetting(source, path, key, value));
        const { [key]: now } = loadSettings(dataFolder(), {});
        return [{ [key]: now }, `${key} = ${JSON.stringify(now)}, from the next start on`];
      }),
    );
}
