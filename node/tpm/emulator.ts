import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { u16 } from '../../ledger/bytes.ts';
import { NodeError } from '../errors.ts';
import { execute } from './command.ts';
import { openTpm } from './open.ts';
import { TpmError } from './tpm.ts';
import { openSocket } from './transport.ts';

/**
 * Emulated chips (swtpm) for development networks and tests: a local authority certifies them as a manufacturer would,
 * each runs as a child process on a Unix socket in its own folder. Needs Debian's `swtpm` and `swtpm-tools`.
 */
const run = promisify(execFile);

const MANUFACTURE_DEADLINE_MS = 60_000;
const START_DEADLINE_MS = 10_000;
const POLL_MS = 20;
/** How setpriv says that there is no such program. */
const NOT_FOUND_EXIT_CODE = 127;
/** TPM_SU_CLEAR. */
const SHUTDOWN_CLEAR = 0;
/** Longest path of a Unix socket on Linux, its end mark and the control socket's suffix left out. */
const SOCKET_PATH_BYTES_MAX = 102;

/** The authority's certificates (PEM) in `caFolder` once a chip was made: what an issuer pins. */
export function emulatorAuthority(caFolder: string): { readonly root: string; readonly issuer: string } {
  return {
    root: join(caFolder, 'swtpm-localca-rootca-cert.pem'),
    issuer: join(caFolder, 'issuercert.pem'),
  };
}

/**
 * Makes a chip in `chipFolder` with RSA and ECC endorsement keys that the authority in `caFolder` certifies; makes the
 * authority first where there is none. One at a time per authority. Does nothing where the chip exists.
 * Both folders must be absolute. Throws NodeError `not-installed` that names the Debian packages, or `emulator-failed`.
 */
export async function manufactureEmulator(chipFolder: string, caFolder: string): Promise<void> {
  if (await exists(join(chipFolder, 'tpm2-00.permall'))) return;
  await mkdir(caFolder, { recursive: true, mode: 0o700 });
  await mkdir(chipFolder, { recursive: true, mode: 0o700 });
  const authority = join(caFolder, 'localca.conf');
  const options = join(caFolder, 'localca.options');
  const setup = join(caFolder, 'swtpm_setup.conf');
  await writeFile(
    authority,
    [
      `statedir = ${caFolder}`,
      `signingkey = ${join(caFolder, 'signkey.pem')}`,
      `issuercert = ${emulatorAuthority(caFolder).issuer}`,
      `certserial = ${join(caFolder, 'certserial')}`,
      '',
    ].join('\n'),
  );
  await writeFile(
    options,
    '--platform-manufacturer blocktree\n--platform-version 1.0\n--platform-model emulator\n',
  );
  await writeFile(
    setup,
    [
      'create_certs_tool = /usr/bin/swtpm_localca',
      `create_certs_tool_config = ${authority}`,
      `create_certs_tool_options = ${options}`,
      'active_pcr_banks = sha256',
      '',
    ].join('\n'),
  );
  const words = ['--tpm2', '--tpmstate', chipFolder, '--config', setup, '--create-ek-cert', '--lock-nvram'];
  const asMyself = process.getuid?.() === 0 ? ['--runas', userInfo().username] : [];
  try {
    await run('swtpm_setup', [...words, ...asMyself], { timeout: MANUFACTURE_DEADLINE_MS });
  } catch (error) {
    throw notRun('swtpm_setup', error);
  }
}

/** A running emulated chip. */
export interface Emulator {
  /** What `openTpm` takes. */
  readonly spec: string;
  /** Resolves when the chip is gone, for whatever reason. */
  readonly ended: Promise<void>;
  /** Ends the process and waits for that. */
  stop(): Promise<void>;
}

/**
 * Starts the chip of `chipFolder` and resolves when it answers. It ends with `stop` or with this process, however that
 * ends: the kernel sees to it (PR_SET_PDEATHSIG). Ctrl-C on the terminal does not reach it, so that those who use it
 * stop first. Throws NodeError `not-installed` or `emulator-failed`.
 */
export async function startEmulator(chipFolder: string): Promise<Emulator> {
  const socket = emulatorSocket(chipFolder);
  if (Buffer.byteLength(socket) > SOCKET_PATH_BYTES_MAX)
    throw new NodeError(
      'emulator-failed',
      `the path ${socket} is too long for a socket; use a shorter folder`,
    );
  const child = spawn(
    'setpriv',
    [
      ...['--pdeathsig', 'TERM', 'swtpm', 'socket'],
      '--tpm2',
      ...['--tpmstate', `dir=${chipFolder}`],
      ...['--server', `type=unixio,path=${socket},mode=0600`],
      ...['--ctrl', `type=unixio,path=${socket}.ctrl,mode=0600`],
      ...['--flags', 'not-need-init,startup-clear'],
    ],
    { stdio: 'ignore', detached: true },
  );
  let failure: unknown;
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      failure = error;
      resolve();
    });
  });
  const stop = () => end(child, socket);
  const spec = `unix:${socket}`;
  const deadlineMs = performance.now() + START_DEADLINE_MS;
  while (performance.now() < deadlineMs) {
    if (failure !== undefined) throw notRun('setpriv', failure);
    if (child.exitCode === NOT_FOUND_EXIT_CODE) throw notRun('swtpm', { code: 'ENOENT' });
    if (child.exitCode !== null) throw notRun('swtpm', { message: `exit ${child.exitCode}` });
    if (await answers(spec)) return { spec, ended, stop };
    await delay(POLL_MS);
  }
  await stop();
  throw new NodeError('emulator-failed', `the emulated chip in ${chipFolder} did not come up`);
}

/** The socket of a chip's folder. */
export function emulatorSocket(chipFolder: string): string {
  return join(chipFolder, 'socket');
}

/** The folder of the chip with this number, from 1, below a folder of `startEmulators`. */
export function emulatorFolder(folder: string, number: number): string {
  return join(folder, `chip-${number}`);
}

/**
 * `count` chips below `folder`, made where they are missing, all certified by one authority and running.
 * `authority` is the PEM file that an issuer pins. Throws NodeError `not-installed` or `emulator-failed`.
 */
export async function startEmulators(
  folder: string,
  count: number,
): Promise<{ readonly chips: readonly Emulator[]; readonly authority: string }> {
  const caFolder = join(folder, 'authority');
  const chips: Emulator[] = [];
  try {
    for (let number = 1; number <= count; number++) {
      const chipFolder = emulatorFolder(folder, number);
      await manufactureEmulator(chipFolder, caFolder);
      chips.push(await startEmulator(chipFolder));
    }
  } catch (error) {
    await Promise.all(chips.map((chip) => chip.stop()));
    throw error;
  }
  return { chips, authority: emulatorAuthority(caFolder).issuer };
}

async function answers(spec: string): Promise<boolean> {
  try {
    const tpm = await openTpm(spec, 'dev');
    await tpm.close();
    return true;
  } catch (error) {
    if (error instanceof TpmError) return false;
    throw error;
  }
}

/** An orderly end: a chip that loses power without warning counts that against its owner. */
async function end(child: ChildProcess, socket: string): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await shutDown(socket).catch((error) => {
    if (!(error instanceof TpmError)) throw error;
  });
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function shutDown(path: string): Promise<void> {
  const transport = await openSocket({ path });
  try {
    await execute(transport, { name: 'Shutdown', parameters: u16(SHUTDOWN_CLEAR) });
  } finally {
    await transport.close();
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

const DEBIAN_PACKAGES = {
  swtpm: 'swtpm swtpm-tools',
  swtpm_setup: 'swtpm swtpm-tools',
  setpriv: 'util-linux',
} as const;

function notRun(program: keyof typeof DEBIAN_PACKAGES, error: unknown): NodeError {
  const { code, message } = error as Partial<NodeJS.ErrnoException>;
  if (code === 'ENOENT')
    return new NodeError(
      'not-installed',
      `emulated chips need the program ${program}: apt-get install ${DEBIAN_PACKAGES[program]}`,
    );
  return new NodeError('emulator-failed', `${program} failed: ${message ?? error}`);
}
