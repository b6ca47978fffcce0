#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { NodeError } from '../errors.ts';
import { apiCommands } from './api-commands.ts';
import { wholeNumber } from './arguments.ts';
import { Client } from './client.ts';
import { configCommands } from './config-commands.ts';
import { devnetCommand } from './devnet-command.ts';
import { fileCommands } from './file-commands.ts';
import { hostCommands } from './host-commands.ts';
import { initCommand } from './init-command.ts';
import { ledgerCommands } from './ledger-commands.ts';
import { nodeCommands } from './node-commands.ts';
import type { Context, Runner } from './runner.ts';
import { seatCommands } from './seat-commands.ts';
import { tpmCommands } from './tpm-commands.ts';
import { walletCommands } from './wallet-commands.ts';

/** The command line: exit 0 done, 1 failed, 2 usage. */

function packageVersion(): string {
  for (const up of ['../../package.json', '../../../package.json']) {
    const path = new URL(up, import.meta.url);
    if (existsSync(path)) return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
  }
  return 'unknown';
}

/** Without `--data` it is `./data`, and there, if it is a development network, node 1 or the one `--node` names. */
function dataFolderOf(program: Command): string {
  const { data = 'data', node } = program.opts<{ data?: string; node?: string }>();
  const devnet = join(data, 'devnet');
  if (existsSync(join(devnet, 'devnet.json'))) {
    const number = wholeNumber(node ?? '1', '--node', 1, 30);
    const folder = join(devnet, String(number));
    if (!existsSync(folder))
      throw new NodeError('not-found', `this development network has no node ${number}`);
    return resolve(folder);
  }
  if (node !== undefined)
    throw new NodeError(
      'bad-configuration',
      `--node is for development networks, and there is none in ${data}`,
    );
  return resolve(data);
}

const program = new Command('blocktree')
  .description('A node that keeps a public ledger, stores encrypted fragments for pay, and proves it.')
  .version(packageVersion())
  .option('--data <folder>', 'data folder (default: ./data)')
  .option('--node <n>', 'node of the development network in the data folder')
  .option('--json', 'print JSON')
  // Told once, at the end, in the form that was asked for.
  .configureOutput({ outputError: () => undefined })
  .exitOverride();

function asJson(): boolean {
  return program.opts<{ json?: boolean }>().json === true || process.argv.includes('--json');
}

const run: Runner =
  (verb) =>
  async (...args) => {
    const context: Context = {
      program,
      dataFolder: () => dataFolderOf(program),
      get client() {
        return new Client(dataFolderOf(program));
      },
    };
    const [value, text] = await verb(context, ...args);
    if (value === undefined && text === '') return;
    process.stdout.write(asJson() ? `${JSON.stringify(value)}\n` : `${text}\n`);
  };

initCommand(program, run);
nodeCommands(program, run, packageVersion());
devnetCommand(program, run);
configCommands(program, run);
tpmCommands(program, run);
fileCommands(program, run);
walletCommands(program, run);
hostCommands(program, run);
apiCommands(program, run);
ledgerCommands(program, run);
seatCommands(program, run);

/** Every verb takes the general options, before it or behind it. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride();
    child.copyInheritedSettings(command);
    child.option('--json', 'print JSON');
    child.option('--data <folder>', 'data folder');
    child.option('--node <n>', 'node of the development network');
    child.hook('preAction', (_, action) => {
      const { data, node } = action.opts<{ data?: string; node?: string }>();
      if (data !== undefined) program.setOptionValue('data', data);
      if (node !== undefined) program.setOptionValue('node', node);
    });
    inherit(child);
  }
}
inherit(program);

/** What went wrong, for people on standard error, with `--json` for programs on standard output. */
function tell(code: string, message: string, stack = `blocktree: ${message}`): void {
  if (asJson()) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  else process.stderr.write(`${stack}\n`);
}

try {
  await program.parseAsync();
  process.exitCode ??= 0;
} catch (error) {
  if (error instanceof CommanderError) {
    // Help is none, and where it was not asked for it has been printed already.
    const isHelp = error.exitCode === 0 || error.code === 'commander.help';
    if (!isHelp) tell('usage', error.message.replace(/^error: /, ''));
    process.exit(error.exitCode === 0 ? 0 : 2);
  }
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  tell(code, message, code === 'internal' && error instanceof Error ? error.stack : undefined);
  process.exit(code === 'bad-configuration' ? 2 : 1);
}
