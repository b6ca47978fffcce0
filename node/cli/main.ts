#!/usr/bin/env node
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, CommanderError } from 'commander';
import { NodeError } from '../errors.ts';
import { Client } from './client.ts';
import { fileCommands } from './file-commands.ts';
import { ledgerCommands } from './ledger-commands.ts';
import { nodeCommands } from './node-commands.ts';
import { ownerCommands } from './owner-commands.ts';
import type { Context, Runner } from './runner.ts';
import { seatCommands } from './seat-commands.ts';
import { tpmCommands } from './tpm-commands.ts';

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
    const number = node ?? '1';
    const folder = join(devnet, number);
    if (!/^\d+$/.test(number) || !existsSync(folder))
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
  .configureOutput({ outputError: (text, write) => write(text) })
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

nodeCommands(program, run, packageVersion());
tpmCommands(program, run);
fileCommands(program, run);
ownerCommands(program, run);
ledgerCommands(program, run);
seatCommands(program, run);

/** Every verb takes the general options, before it or behind it. */
function inherit(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride();
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

try {
  await program.parseAsync();
  process.exitCode ??= 0;
} catch (error) {
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  if (asJson()) process.stdout.write(`${JSON.stringify({ error: { code, message } })}\n`);
  else
    process.stderr.write(
      code === 'internal' && error instanceof Error ? `${error.stack}\n` : `blocktree: ${message}\n`,
    );
  process.exit(code === 'bad-configuration' ? 2 : 1);
}
