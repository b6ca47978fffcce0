import { open } from 'node:fs/promises';
import net from 'node:net';
import { TpmError } from './tpm.ts';

/** Longest command or response of a TPM (MAX_COMMAND_SIZE is 4,096 in practice). */
const MESSAGE_BYTES_MAX = 8_192;
const HEADER_BYTES = 10;
const CONNECT_DEADLINE_MS = 5_000;

/**
 * A way to a TPM: one command out, one response back, never two at once. After an error it is of no further use.
 * Throws TpmError `unavailable`, `permission`, `busy`, `timeout` or `io`.
 */
export interface TpmTransport {
  /** Whether the kernel looks after the chip: started it, and shares it with others who have things loaded. */
  readonly managed: boolean;
  exchange(command: Uint8Array, deadlineMs: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

function openError(where: string, error: unknown): TpmError {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return new TpmError('permission', `${where} may not be opened`);
  if (code === 'EBUSY') return new TpmError('busy', `${where} is in use`);
  return new TpmError('unavailable', `${where} cannot be opened (${code ?? error})`);
}

/** Settles with `work`, or with TpmError `timeout` after `deadlineMs`. */
async function within<T>(work: Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new TpmError('timeout', `no answer in ${deadlineMs / 1_000} s`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A TPM device of the kernel: one write is a command, one read its response. `/dev/tpmrm0` has the kernel's resource
 * manager, which frees what is loaded when the file closes; `/dev/tpm0` has none and takes one program at a time.
 */
export async function openDevice(path: string): Promise<TpmTransport> {
  const file = await open(path, 'r+').catch((error) => {
    throw openError(path, error);
  });
  const response = new Uint8Array(MESSAGE_BYTES_MAX);
  let unanswered = false;
  const talk = async (command: Uint8Array) => {
    unanswered = true;
    try {
      await file.write(command, 0, command.length, null);
      const { bytesRead } = await file.read(response, 0, response.length, null);
      return response.slice(0, bytesRead);
    } catch (error) {
      throw new TpmError('io', `${path} failed (${(error as NodeJS.ErrnoException).code})`);
    } finally {
      unanswered = false;
    }
  };
  return {
    managed: true,
    exchange: (command, deadlineMs) => within(talk(command), deadlineMs),
    async close() {
      const closed = file.close();
      // A chip that never answers keeps the file in the kernel's hands: nobody waits for that.
      if (unanswered) closed.catch(() => undefined);
      else await closed;
    },
  };
}

/** A TPM behind a socket that takes plain commands, such as swtpm's server socket. */
export async function openSocket(
  where: { readonly path: string } | { readonly host: string; readonly port: number },
): Promise<TpmTransport> {
  const name = 'path' in where ? where.path : `${where.host}:${where.port}`;
  const socket = net.connect(where);
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => reject(openError(name, error)));
  });
  try {
    await within(connected, CONNECT_DEADLINE_MS);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return new SocketTransport(name, socket);
}

class SocketTransport implements TpmTransport {
  readonly managed = false;
  readonly #name: string;
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { resolve(response: Uint8Array): void; reject(error: TpmError): void } | undefined;
  #broken = false;

  constructor(name: string, socket: net.Socket) {
    this.#name = name;
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('error', () => this.#break());
    socket.on('close', () => this.#break());
  }

  async exchange(command: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    if (this.#broken) throw new TpmError('io', `the connection to ${this.#name} is closed`);
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#socket.write(command);
    try {
      return await within(answer, deadlineMs);
    } catch (error) {
      this.#socket.destroy();
      throw error;
    }
  }

  close(): Promise<void> {
    if (this.#socket.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#socket.once('close', () => resolve());
      this.#socket.destroy();
    });
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (this.#received.length < HEADER_BYTES) return;
    const length = this.#received.readUInt32BE(2);
    const excessive = length < HEADER_BYTES || length > MESSAGE_BYTES_MAX || this.#received.length > length;
    if (excessive || this.#waiting === undefined) {
      this.#socket.destroy();
      return;
    }
    if (this.#received.length < length) return;
    const response = Uint8Array.from(this.#received);
    this.#received = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting.resolve(response);
  }

  #break(): void {
    this.#broken = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.reject(new TpmError('io', `the connection to ${this.#name} broke`));
  }
}
