import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import { standardInput } from './standard-input.ts';

/**
 * Where the passphrase of a node without a TPM comes from: the terminal, unseen; else standard input, a file or a
 * descriptor. Never an argument or a variable: everybody on the machine can read the ones, every child process the others.
 */

const PASSPHRASE_BYTES_MAX = 1_024;
/** Bits of a file's mode that let others than its owner in. */
const OTHERS = 0o077;

export interface PassphraseOptions {
  readonly passphraseFile?: string;
  readonly passphraseFd?: string;
}

export function withPassphraseOptions(command: Command): Command {
  return command
    .option('--passphrase-file <file>', 'first line is the passphrase of a node without a TPM; mode 0600')
    .option('--passphrase-fd <number>', 'open file descriptor whose first line is the passphrase');
}

/**
 * The passphrase; asked for twice if it is `fresh` and typed. Throws NodeError `no-passphrase` where nothing was given or
 * typed twice alike, `bad-configuration` for a file that others can read or a descriptor that is none.
 */
export async function readPassphrase(options: PassphraseOptions, fresh = false): Promise<string> {
  const { passphraseFile: file, passphraseFd: descriptor } = options;
  if (file !== undefined && descriptor !== undefined)
    throw new NodeError('bad-configuration', 'expected --passphrase-file or --passphrase-fd, not both');
  const passphrase =
    file !== undefined
      ? await fromFile(file)
      : descriptor !== undefined
        ? await fromDescriptor(descriptor)
        : await standardInput.line('Passphrase: ', true);
  if (passphrase === undefined || passphrase === '')
    throw new NodeError(
      'no-passphrase',
      'a passphrase guards these keys: type it on a terminal, pipe it in, or give --passphrase-file or --passphrase-fd',
    );
  const typed = file === undefined && descriptor === undefined && standardInput.isTerminal;
  if (fresh && typed && (await standardInput.line('The same again: ', true)) !== passphrase)
    throw new NodeError('no-passphrase', 'the two passphrases differ; nothing was made');
  return passphrase;
}

async function fromFile(path: string): Promise<string> {
  const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new NodeError('not-found', `the passphrase file ${path} cannot be read (${error.code})`);
  });
  try {
    const { mode } = await file.stat();
    if ((mode & OTHERS) !== 0)
      throw new NodeError('bad-configuration', `others can read ${path}: chmod 600 it first`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PASSPHRASE_BYTES_MAX + 1));
    return firstLine(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

async function fromDescriptor(text: string): Promise<string> {
  if (!/^\d{1,4}$/.test(text))
    throw new NodeError(
      'bad-configuration',
      `expected the number of an open file for --passphrase-fd, got "${text}"`,
    );
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of createReadStream('', { fd: Number(text) })) {
      chunks.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length > PASSPHRASE_BYTES_MAX || (chunk as Buffer).includes(0x0a)) break;
    }
  } catch (error) {
    throw new NodeError(
      'bad-configuration',
      `descriptor ${text} cannot be read (${(error as NodeJS.ErrnoException).code})`,
    );
  }
  return firstLine(Buffer.concat(chunks));
}

function firstLine(bytes: Buffer): string {
  const line = bytes.toString('utf8').split(/\r?\n/, 1)[0] as string;
  if (Buffer.byteLength(line) > PASSPHRASE_BYTES_MAX)
    throw new NodeError(
      'bad-configuration',
      `a passphrase of at most ${PASSPHRASE_BYTES_MAX} bytes expected`,
    );
  return line;
}
