import { setTimeout as delay } from 'node:timers/promises';
import { concat, u16, u32 } from '../../ledger/bytes.ts';
import { HANDLE } from '../../ledger/tpm/constants.ts';
import { sized, WireReader } from '../../ledger/tpm/wire.ts';
import { RC, responseError, wantsRetry } from './response-codes.ts';
import { TpmError } from './tpm.ts';
import type { TpmTransport } from './transport.ts';

/** TPM_CC, those that are used (Part 2 §6.5.2). */
export const COMMAND = {
  CreatePrimary: 0x131,
  Startup: 0x144,
  Shutdown: 0x145,
  ActivateCredential: 0x147,
  NV_Read: 0x14e,
  PolicySecret: 0x151,
  Create: 0x153,
  Load: 0x157,
  Quote: 0x158,
  Unseal: 0x15e,
  FlushContext: 0x165,
  NV_ReadPublic: 0x169,
  ReadPublic: 0x173,
  StartAuthSession: 0x176,
  GetCapability: 0x17a,
} as const;
export type CommandName = keyof typeof COMMAND;

/** TPM_ST: a command without and with an authorisation area. */
const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;

/** RSA key generation on a slow chip takes this long at worst. */
const DEADLINE_MS = 120_000;
const RETRIES_MAX = 12;
const RETRY_DELAY_MS = 20;

/** One entry of the authorisation area (TPMS_AUTH_COMMAND). */
interface Authorization {
  readonly handle: number;
  readonly nonce: Uint8Array;
  readonly attributes: number;
  readonly hmac: Uint8Array;
}

const EMPTY = new Uint8Array(0);

/** The empty password: what fresh hierarchies and this program's own objects have. */
export const NO_PASSWORD: Authorization = {
  handle: HANDLE.password,
  nonce: EMPTY,
  attributes: 0,
  hmac: EMPTY,
};

interface Command {
  readonly name: CommandName;
  readonly handles?: readonly number[];
  readonly authorizations?: readonly Authorization[];
  readonly parameters?: Uint8Array;
  /** Whether the response starts with a handle. */
  readonly returnsHandle?: boolean;
}

export interface Response {
  /** 0 where the command returns none. */
  readonly handle: number;
  readonly parameters: Uint8Array;
  /** What follows the parameters: the authorisations of the response. */
  readonly authorizations: Uint8Array;
}

/** Sends a command and reads its response (Part 1 §18); asks again while the chip wants that. Throws TpmError. */
export async function execute(transport: TpmTransport, command: Command): Promise<Response> {
  const bytes = encode(command);
  for (let attempt = 0; ; attempt++) {
    const response = await transport.exchange(bytes, DEADLINE_MS);
    const reader = new ResponseReader(response);
    const { responseCode } = reader;
    if (responseCode === RC.success) return reader.body(command);
    if (!wantsRetry(responseCode) || attempt === RETRIES_MAX) throw responseError(command.name, responseCode);
    await delay(RETRY_DELAY_MS * (attempt + 1));
  }
}

function encode({ name, handles = [], authorizations = [], parameters = EMPTY }: Command): Uint8Array {
  const area = concat(
    ...authorizations.map(({ handle, nonce, attributes, hmac }) =>
      concat(u32(handle), sized(nonce), Uint8Array.of(attributes), sized(hmac)),
    ),
  );
  const authorization = authorizations.length > 0 ? concat(u32(area.length), area) : EMPTY;
  const body = concat(...handles.map(u32), authorization, parameters);
  const tag = authorizations.length > 0 ? TAG_SESSIONS : TAG_NO_SESSIONS;
  return concat(u16(tag), u32(10 + body.length), u32(COMMAND[name]), body);
}

class ResponseReader {
  readonly responseCode: number;
  readonly #tag: number;
  readonly #reader: WireReader;

  constructor(bytes: Uint8Array) {
    this.#reader = new WireReader(bytes, 'malformed');
    this.#tag = this.#read((reader) => reader.u16());
    const length = this.#read((reader) => reader.u32());
    if (length !== bytes.length) throw new TpmError('io', 'the chip sent a response of another length');
    this.responseCode = this.#read((reader) => reader.u32());
  }

  body({ returnsHandle = false }: Command): Response {
    return this.#read((reader) => {
      const handle = returnsHandle ? reader.u32() : 0;
      if (this.#tag === TAG_NO_SESSIONS) return { handle, parameters: reader.rest(), authorizations: EMPTY };
      const parameters = reader.take(reader.u32());
      return { handle, parameters, authorizations: reader.rest() };
    });
  }

  #read<T>(read: (reader: WireReader) => T): T {
    return readResponse(this.#reader, read);
  }
}

/** Reads what a chip sent; bytes that do not fit are the link's fault. Throws TpmError `io`. */
export function readResponse<T>(from: WireReader | Uint8Array, read: (reader: WireReader) => T): T {
  const reader = from instanceof WireReader ? from : new WireReader(from, 'malformed');
  try {
    return read(reader);
  } catch (error) {
    if (error instanceof TpmError) throw error;
    throw new TpmError('io', `the chip sent a response that cannot be read (${(error as Error).message})`);
  }
}
